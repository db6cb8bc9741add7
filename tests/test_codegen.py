"""Machine code: for a named processor the hot kernel holds packed FMA of its width and no libm call."""

import json
import platform
import re

import pytest

from tests.processes import run

SCRIPT = """
import json, numpy as np
from fusem.families import gaussian_full as family
from fusem.kernels.mixture_sweep import HEADER
from fusem.kernels.simd import LANES
from fusem.kernels.tile import workspace
K, d, n = 3, 6, 500
rng = np.random.default_rng(0)
X = rng.normal(size=(n, d))
params = family.from_covariances(rng.normal(size=(K, d)), np.array([np.eye(d)] * K))
size = HEADER + family.statistic_size(K, d)
out, space = np.empty(size), workspace(d, K, family.tile_columns(K, d), size, 2, float)
place = X.ctypes.data, *X.strides, n
kernel = family.sweep[float]
operands = family.operands(params, float)
kernel(*place, d, np.empty(0), np.full(K, -np.log(K)), operands, operands, space, out)
asm = next(iter(kernel.inspect_asm().values()))
print(json.dumps({"lanes": LANES, "asm": asm, "statistic": out.tolist()}))
"""


def machine_code(folder, name, features):
    """Compile for a processor in a fresh process and run it here."""
    processor = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    return json.loads(run(SCRIPT, FUSEM_CACHE_DIR=str(folder), **processor))


def packed_fma(asm, register):
    return len(re.findall(rf"vfmadd\w*pd\b.*%{register}", asm))


def libm_calls(asm):
    return re.findall(r"\b(?:call\w*|movabsq)\s+\$?(exp|log|fma|pow)f?\b", asm)


def test_the_patterns_see_what_they_look_for():
    assert packed_fma("vfmadd231pd %zmm1, %zmm2, %zmm3", "zmm") == 1
    assert packed_fma("vfmadd231sd %xmm1, %xmm2, %xmm3", "xmm") == 0
    assert libm_calls("movabsq $exp, %rax") == ["exp"]
    assert libm_calls("callq log") == ["log"]
    assert libm_calls("callq memset") == []


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="code of another processor cannot run here"
)
def test_vectors_fill_the_registers(tmp_path):
    avx2 = machine_code(tmp_path, "haswell", "+avx2,+fma,+bmi,+bmi2")
    assert avx2["lanes"] == 4
    assert packed_fma(avx2["asm"], "ymm") > 100
    assert "%zmm" not in avx2["asm"]
    assert libm_calls(avx2["asm"]) == []

    plain = machine_code(tmp_path, "x86-64", "")
    assert plain["lanes"] == 2
    assert "%ymm" not in plain["asm"]
    assert plain["statistic"] == pytest.approx(avx2["statistic"], rel=1e-11, abs=1e-11)
