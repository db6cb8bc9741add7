"""Machine code for named processors: packed FMA as wide as the registers, no libm call, no allocation."""

from __future__ import annotations

import json
import math
import platform
import re
from typing import NamedTuple

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from fusem.families.registry import FAMILIES
from fusem.hmm.engine import ChainEngine, ChainModel
from fusem.kernels import covariances
from fusem.kernels.chain import whole_kernel
from fusem.kernels.mixture_sweep import HEADER
from fusem.kernels.simd import LANES
from fusem.kernels.tile import LEAF, workspace
from fusem.kernels.viterbi_lanes import packed_in
from fusem.mixture.engine import Engine
from tests import test_m_step
from tests.cases import CASES, DTYPES
from tests.processes import run
from tests.test_pruning import mixture, near
from tests.traced import traced_peak

CASE = {case.family: case for case in CASES}
MATRIX_AND_AXES = ("gaussian_full", "gaussian_diag")  # the others are made of the same parts
NEAR = " near"  # of the name of a family: about a centre that all components share
D, ROWS = 6, 2 * LEAF + 500
ARM = platform.machine() in ("aarch64", "arm64")
SUFFIX = {"float64": "d", "float32": "s"}  # of x86-64 instructions on packed numbers
SHAPE = {"float64": "2d", "float32": "4s"}  # of a NEON register
BOUND = {"float64": 1e-11, "float32": 1e-4}
LIBM = r"_?((?:exp2?|expm1|log|log2|log10|log1p|fma|pow)f?)"
MANY = 50
COLUMN = 256 * 8  # bytes of a tile's column, the least that a kernel could want
M_STEP = f"({'f8[::1], ' * 7} f8, i8, i8, {'f8[::1], ' * 4} b1[::1])"  # its arguments
LOOPS = {"memset", "memcpy", "memmove"}  # calls that the compiler makes of plain loops
OWN = "make_basis|densities_apart|sums_apart|observed_apart|expected_apart"
OWN += "|begin_leaf|tile_density|put_factors|accumulate|climb|place_of"
SELDOM = re.compile(
    rf"_+ZN5fusem(?:7kernels|8families)\d+[a-z_]+\d+(?:{OWN})B\w+"
)  # helpers that stand once in a kernel


class Processor(NamedTuple):
    """A processor that code is pinned to, and what its code must look like."""

    name: str
    features: str
    lanes: int  # doubles in a register
    register: str
    wider: tuple[str, ...]  # registers it does not have
    families: tuple[str, ...]
    kinds: tuple[str, ...] = ("sweeps",)

    @property
    def has_fma(self) -> bool:
        return "+fma" in self.features

    @property
    def runs_here(self) -> bool:
        here = llvm.get_host_cpu_features()
        return all(here.get(feature[1:]) for feature in self.features.split(",") if feature)


AVX512 = Processor(
    "skylake-avx512",
    "+avx512f,+avx512cd,+avx512bw,+avx512dq,+avx512vl,+avx2,+fma,+bmi,+bmi2",
    8,
    "zmm",
    (),
    (*MATRIX_AND_AXES, "gaussian_diag" + NEAR),
)
AVX2 = Processor(
    "haswell",
    "+avx2,+fma,+bmi,+bmi2",
    4,
    "ymm",
    ("zmm",),
    (*MATRIX_AND_AXES, "gaussian_spherical" + NEAR),
    ("sweeps", "pruned", "m_steps", "best_paths"),
)
PLAIN = Processor("x86-64", "", 2, "xmm", ("ymm", "zmm"), MATRIX_AND_AXES)


def parameters(family):
    start = CASE[family].start(n_features=D)
    return FAMILIES[family].from_covariances(start.means, start.covariances)


def sweep_of(family):
    kernels = FAMILIES[family.removesuffix(NEAR)].kernels
    return kernels.sweep_near if family.endswith(NEAR) else kernels.sweep


def sweep_arguments(family, X):
    """What the family's sweep takes over rows X at the start of its case; the last is the statistic."""
    near, family = family.endswith(NEAR), family.removesuffix(NEAR)
    module, weights = FAMILIES[family], CASE[family].start(n_features=D).weights
    size = HEADER + module.statistic_size(len(weights), D)
    levels = (len(X) // LEAF).bit_length() + 1
    columns = module.tile_columns(len(weights), D)
    room = module.near_columns(len(weights), D) if near else 0
    space = workspace(D, len(weights), columns, size, levels, X.dtype, X.dtype, room)
    operands = (module.near_operands if near else module.operands)(parameters(family), X.dtype)
    place = X.ctypes.data, *X.strides, len(X), D
    return *place, np.empty(0), np.log(weights), operands, operands, space, np.empty(size)


def dtypes_of(family):
    """Both, but of forms that are made of the same parts as others."""
    return DTYPES if family.removesuffix(NEAR) in MATRIX_AND_AXES else DTYPES[:1]


def machine_code(dispatcher):
    """Assembly and LLVM code of a function with one signature, and its label in both."""
    (compiled,) = dispatcher.overloads.values()
    (asm,), (ir,) = dispatcher.inspect_asm().values(), dispatcher.inspect_llvm().values()
    return {"asm": asm, "ir": ir, "label": compiled.fndesc.llvm_func_name}


def sweeps(families, runs):
    """Names, machine code and, where it runs here, the statistic of each family's sweep."""
    made = []
    for family in families:
        for dtype in dtypes_of(family):
            X = CASE[family.removesuffix(NEAR)].data(ROWS, n_features=D, dtype=dtype)
            kernel, arguments = sweep_of(family)[dtype], sweep_arguments(family, X)
            kernel.compile(tuple(map(numba.typeof, arguments)))
            if runs:
                kernel(*arguments)
            statistic = arguments[-1].tolist() if runs else None
            names = {"family": family, "dtype": X.dtype.name, "statistic": statistic}
            made.append(names | machine_code(kernel))
    return made


def pruned(_families, _runs):
    """Pruned sweeps in float64; they are not run."""
    made = []
    for family in MATRIX_AND_AXES:
        kernel, model = FAMILIES[family].kernels.sweep_pruned[float], mixture(family)
        engine = Engine(FAMILIES[family], *model.components.means.shape, float)
        with engine.space_and_pairs(engine.dtype) as spaces:
            operands = engine.family.operands(model.components, float)
            known = np.empty(0), model.log_weights, operands, near(family, model)
            arguments = 0, 0, 0, 0, engine.d, *known, spaces, np.empty(engine.size)
            kernel.compile(tuple(map(numba.typeof, arguments)))
        made.append({"family": family, "dtype": "float64"} | machine_code(kernel))
    return made


def m_steps(_families, runs):
    """The M-step of matrices, which all forms that have them share."""
    compiled = covariances.kernel[float]
    if runs:
        test_m_step.test_equals_its_twin(5)
        test_m_step.test_equals_its_twin(33)
    else:
        compiled.compile(M_STEP)
    return [{"family": "gaussian_full", "dtype": "float64"} | machine_code(compiled)]


def best_paths(_families, _runs):
    """The best path through whole sequences, in float64; it is not run."""
    family = "gaussian_full"
    made = ChainEngine(FAMILIES[family], len(CASE[family].start(n_features=D).weights), D, float)
    model = ChainModel(np.ones(made.n_states), np.eye(made.n_states), parameters(family))
    kernel, none = whole_kernel(made.emission, made.width)[float], np.empty(0)
    numbers, packed = np.empty(0, dtype=np.int64), np.empty(0, dtype=packed_in(made.width))
    with made.space("lanes", logarithms=True) as space:
        given = (
            np.zeros(made.n_states),
            made.operands(model.components),
            made.chain(model, True),
        )
        place, scratch = (0, 0, 0, D, numbers, numbers, 0), (none,) * 7
        rest = numbers, numbers, packed, packed, none, numbers
        kernel.compile(tuple(map(numba.typeof, (*place, *given, space, *scratch, *rest))))
    return [{"family": family, "dtype": "float64"} | machine_code(kernel)]


def print_code(kinds, families, runs):
    """Print what some of the functions above make, as JSON."""
    code = {kind: globals()[kind](families, runs) for kind in kinds}
    print(json.dumps({"lanes": LANES} | code))


def code_for(processor, folder):
    """Compile for a processor, in a fresh process: one for all kinds, which share most helpers."""
    given = f"{processor.kinds!r}, {processor.families!r}, {processor.runs_here}"
    script = f"from tests.test_codegen import print_code; print_code({given})"
    pinned = {"NUMBA_CPU_NAME": processor.name, "NUMBA_CPU_FEATURES": processor.features}
    return json.loads(run(script, FUSEM_CACHE_DIR=str(folder), **({} if ARM else pinned)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Sweeps in registers of 16 bytes, which NEON has too."""
    return code_for(PLAIN, tmp_path_factory.mktemp("plain"))


def body(asm, label):
    """The part of an assembly file from a function's label to the next; numba adds Python wrappers."""
    parts = re.split(r'^"?([A-Za-z_$][^\s:"]*)"?:', asm, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))[label]


def packed_fma(asm, dtype, register):
    return len(re.findall(rf"\bvfn?m(?:add|sub)\w*p{SUFFIX[dtype]}\b.*%{register}", asm))


def packed_arithmetic(asm, dtype, register):
    return len(re.findall(rf"\bv?(?:add|mul)p{SUFFIX[dtype]}\b.*%{register}", asm))


def neon_fma(asm, dtype):
    return len(re.findall(rf"\bfmla\s+v\d+\.{SHAPE[dtype]}\b", asm))


def callees(asm):
    """Functions that assembly calls, jumps to or takes the address of, on x86-64 and on ARM."""
    direct = re.findall(r"^\s*(?:call\w*|j\w+|bl?)\s+\*?([A-Za-z_]\w*)", asm, flags=re.MULTILINE)
    return {*direct, *re.findall(r"\bmovabsq\s+\$([A-Za-z_]\w*)", asm)}


def libm_calls(asm):
    return {match[1] for name in callees(asm) if (match := re.fullmatch(LIBM, name))}


def nrt_calls(asm):
    return re.findall(r"\bNRT_\w+", asm)


def for_neon(ir):
    """Assembly of LLVM code for 64-bit ARM."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("the installed llvmlite generates no code for ARM")
    machine = target.create_target_machine(opt=3)
    module = llvm.parse_assembly(ir)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return machine.emit_assembly(module)


@pytest.mark.parametrize(
    ("dtype", "line", "count"),
    [
        ("float64", "vfmadd231pd %zmm1, %zmm2, %zmm3", 1),
        ("float64", "vfnmadd213pd (%rax){1to8}, %zmm2, %zmm3", 1),
        ("float32", "vfmsub132ps %zmm1, %zmm2, %zmm3", 1),
        ("float32", "vfmadd231pd %zmm1, %zmm2, %zmm3", 0),
        ("float64", "vfmadd231pd %ymm1, %ymm2, %ymm3", 0),
        ("float64", "vfmadd231sd %xmm1, %xmm2, %xmm3\n vmovapd %zmm1, %zmm2", 0),
        ("float64", "vmulpd %zmm1, %zmm2, %zmm3", 0),
    ],
)
def test_packed_fma_is_told_from_the_rest(dtype, line, count):
    assert packed_fma(line, dtype, "zmm") == count


def test_packed_arithmetic_is_told_from_scalar():
    assert packed_arithmetic("mulpd %xmm1, %xmm2\n addpd %xmm1, %xmm2", "float64", "xmm") == 2
    assert packed_arithmetic("mulsd %xmm1, %xmm2\n addps %xmm1, %xmm2", "float64", "xmm") == 0


def test_neon_fma_is_told_from_the_rest():
    assert neon_fma("fmla v6.2d, v7.2d, v5.2d", "float64") == 1
    assert neon_fma("fmla v6.4s, v7.4s, v5.s[1]", "float32") == 1
    assert neon_fma("fmla v6.2s, v7.2s, v5.2s\n fmadd d0, d1, d2, d3", "float32") == 0


@pytest.mark.parametrize(
    ("line", "called"),
    [
        ("\tmovabsq\t$exp, %rax", {"exp"}),
        ("\tcallq\tlog", {"log"}),
        ("\tcallq\tpowf@PLT", {"powf"}),
        ("\tcallq\t*fma@GOTPCREL(%rip)", {"fma"}),
        ("\tjmp\tlog1p", {"log1p"}),
        ("\tbl\tfmaf", {"fmaf"}),
        ("\tb\t_expf", {"expf"}),
        ("\tcallq\tmemset", set()),
        ("\tcallq\t*%rax\n\tjmp\t.LBB0_1\n\tmovabsq\t$.LCPI0_1, %rax", set()),
        ("\tmovabsq\t$exponent, %rax", set()),
    ],
)
def test_libm_calls_are_told_from_the_rest(line, called):
    assert libm_calls(line) == called


def test_a_body_ends_at_the_next_label():
    asm = "f:\n\tcallq\tmemset\n.LBB0_1:\n\tretq\n\n_wrapper.f:\n\tcallq\tNRT_decref\n"
    assert callees(body(asm, "f")) == {"memset"}
    assert nrt_calls(body(asm, "_wrapper.f")) == ["NRT_decref"]


def test_calls_and_allocations_of_compiled_code_are_seen():
    @numba.njit
    def first(x):
        return x[0]

    @numba.njit
    def bad(x):
        copy = np.empty(x.size)
        for i in range(x.size):
            copy[i] = math.exp(x[i])
        return copy

    for function in (first, bad):
        function(np.ones(3))
    good, wrong = machine_code(first), machine_code(bad)
    assert nrt_calls(good["asm"])  # its wrapper counts references
    assert nrt_calls(body(good["asm"], good["label"])) == []
    assert nrt_calls(body(wrong["asm"], wrong["label"]))
    assert libm_calls(body(wrong["asm"], wrong["label"])) == {"exp"}


def check_calls(asm, label):
    """No libm call; the kernel itself calls its seldom helpers alone, and counts no references."""
    assert libm_calls(asm) == set()
    waiting, seen = [label], {label}
    while waiting:
        code = body(asm, waiting.pop())
        assert nrt_calls(code) == []
        called = {name for name in callees(code) if name.lstrip("_") not in LOOPS}
        assert all(SELDOM.fullmatch(name) for name in called)
        waiting += called - seen
        seen |= called


@pytest.mark.parametrize("name", ["exp", "NRT_incref", "PyErr_Clear", "_ZN5fusem6helper"])
def test_a_call_that_a_kernel_may_not_make_is_seen(name):
    check_calls("f:\n\tcallq\tmemset\n_wrapper.f:\n\tcallq\tNRT_decref\n", "f")
    seldom = "_ZN5fusem7kernels10null_space10make_basisB2v1"
    check_calls(f"f:\n\tcallq\t{seldom}\n{seldom}:\n\tcallq\tmemset\n", "f")
    with pytest.raises(AssertionError):
        check_calls(f"f:\n\tcallq\t{seldom}\n{seldom}:\n\tcallq\t{name}\n", "f")
    with pytest.raises(AssertionError):
        check_calls(f"f:\n\tcallq\t{name}\n", "f")


def check_step(family, dtype, statistic):
    """The statistic makes the EM step that the reference makes."""
    family = family.removesuffix(NEAR)
    X, start = CASE[family].data(ROWS, n_features=D, dtype=dtype), CASE[family].start(n_features=D)
    expected = CASE[family].twin.em_step(X, None, *start, 0.0)
    sums = np.array(statistic[HEADER:])
    new = FAMILIES[family].maximize(parameters(family), sums, np.zeros(D))
    assert statistic[0] / ROWS == pytest.approx(expected[0], rel=BOUND[dtype])
    np.testing.assert_allclose(new.means, expected[2], rtol=BOUND[dtype], atol=BOUND[dtype])
    np.testing.assert_allclose(new.covariances, expected[3], rtol=BOUND[dtype], atol=BOUND[dtype])


def test_a_wrong_statistic_is_seen():
    family = "gaussian_full"
    X = CASE[family].data(ROWS, n_features=D)
    arguments = sweep_arguments(family, X)  # the address of X, which they do not keep alive
    FAMILIES[family].kernels.sweep[float](*arguments)
    check_step(family, "float64", arguments[-1])
    for place in (0, HEADER, len(arguments[-1]) - 1):
        wrong = arguments[-1].copy()
        wrong[place] *= 1.0 + 1e-8
        with pytest.raises(AssertionError):
            check_step(family, "float64", wrong)


def check_registers(asm, dtype, processor):
    """Many packed instructions, FMA where there is one, in registers of the processor's width."""
    packed = packed_fma if processor.has_fma else packed_arithmetic
    assert packed(asm, dtype, processor.register) > MANY
    assert not [register for register in processor.wider if f"%{register}" in asm]


def test_other_registers_are_seen():
    ymm, zmm = (f"vfmadd231pd %{name}1, %{name}2, %{name}3\n" for name in ("ymm", "zmm"))
    check_registers(ymm * 99, "float64", AVX2)
    check_registers(zmm * 99 + ymm, "float64", AVX512)
    check_registers("addpd %xmm1, %xmm2\n" * 99, "float64", PLAIN)
    for processor, asm in [(AVX2, ymm * 9), (AVX2, ymm * 99 + zmm), (AVX512, ymm * 99)]:
        with pytest.raises(AssertionError):
            check_registers(asm, "float64", processor)


def check_processor(processor, code):
    assert code["lanes"] == processor.lanes
    assert set(code) == {"lanes", *processor.kinds}
    expected = [dtype for family in processor.families for dtype in dtypes_of(family)]
    assert [made["dtype"] for made in code["sweeps"]] == [np.dtype(each).name for each in expected]
    for kind in processor.kinds:
        assert code[kind]
        for made in code[kind]:
            check_registers(made["asm"], made["dtype"], processor)
            check_calls(made["asm"], made["label"])
    if processor.runs_here:
        for made in code["sweeps"]:
            check_step(made["family"], made["dtype"], made["statistic"])


def test_a_feature_that_is_missing_here_is_seen():
    assert PLAIN.runs_here
    assert not PLAIN._replace(features="+no-such-feature").runs_here


on_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="compiles for the other processors of an x86-64 machine"
)


@on_x86
@pytest.mark.slow
@pytest.mark.parametrize(
    "processor",
    [
        pytest.param(AVX512, id=AVX512.name),
        pytest.param(AVX2, id=AVX2.name, marks=pytest.mark.thorough),
    ],
)
def test_vectors_fill_the_registers(processor, tmp_path):
    check_processor(processor, code_for(processor, tmp_path))


@on_x86
@pytest.mark.slow
def test_vectors_fit_the_registers_of_any_x86(plain):
    check_processor(PLAIN, plain)


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() != "x86_64" and not ARM, reason="compiles for ARM there or on x86-64"
)
def test_vectors_fill_the_registers_of_arm(plain):
    for sweep in plain["sweeps"]:
        asm = for_neon(sweep["ir"])
        assert neon_fma(asm, sweep["dtype"]) > MANY
        check_calls(asm, sweep["label"])


@pytest.fixture
def counted():
    """Let numba count allocations, which it leaves out by default."""
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


def allocated(function, *arguments):
    """What a call allocates: counts of compiled code's allocations, and the peak of Python's in bytes."""
    before = rtsys.get_allocation_stats()
    peak = traced_peak(lambda: function(*arguments))
    return np.subtract(rtsys.get_allocation_stats(), before).tolist(), peak


def check_allocations(calls):
    """Every call allocates alike, and Python nothing but what hands over the arguments."""
    assert all(counts == calls[0][0] for counts, _ in calls)
    assert max(peak for _, peak in calls) < COLUMN


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("family", [*MATRIX_AND_AXES, "gaussian_diag" + NEAR])
def test_a_leaf_more_allocates_nothing(family):
    kernel, calls = sweep_of(family)[float], []
    for leaves in (1, 50):
        X = CASE[family.removesuffix(NEAR)].data(leaves * LEAF, n_features=D)
        arguments = sweep_arguments(family, X)
        kernel(*arguments)  # compiles
        calls.append(allocated(kernel, *arguments))
        assert arguments[-1][HEADER - 1] == len(X)
    check_allocations(calls)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("family", MATRIX_AND_AXES)
def test_a_leaf_more_with_holes_allocates_nothing(family):
    calls = []
    for leaves in (4, 60):
        X = CASE[family].data(leaves * LEAF, n_features=D)
        X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
        model = mixture(family)
        made = Engine(FAMILIES[family], *model.components.means.shape, float)
        kernel, given, space_of, _ = made._missing_way(model)
        with space_of(made.dtype) as space:
            place = X.ctypes.data, *X.strides, len(X), D, np.empty(0)
            arguments = *place, *given, space, np.empty(made.size)
            kernel(*arguments)  # compiles
            calls.append(allocated(kernel, *arguments))
        assert arguments[-1][HEADER - 1] == len(X)
    check_allocations(calls)


@numba.njit
def compiled_that_allocates(leaves):
    total = 0.0
    for i in range(leaves):
        total += np.ones(i + 1)[i]
    return total


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    "function",
    [compiled_that_allocates, lambda leaves: [np.empty(64) for _ in range(leaves)]],
    ids=["compiled", "python"],
)
def test_an_allocation_per_leaf_is_seen(function):
    function(1)
    calls = [allocated(function, leaves) for leaves in (1, 1)]
    check_allocations(calls)
    with pytest.raises(AssertionError):
        check_allocations([*calls, allocated(function, 50)])
