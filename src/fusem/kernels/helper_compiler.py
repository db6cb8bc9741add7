"""numba's compiler for helpers, which only exist inside other compiled code.

Left to itself numba optimises every compiled function twice and makes machine code of it, of each helper with
all that it calls: a quarter to a third of the time a kernel took to compile. Kernels run as fast as before.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.typed_passes import AnnotateTypes


class _HelperCode(JITCodeLibrary):
    """Code that waits to be compiled into its callers."""

    def _optimize_final_module(self) -> None:
        """Leave that to the kernel, which sees all of it."""

    def _finalize_final_module(self) -> None:
        """Make no machine code."""
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """No address: nothing calls it from outside."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """What numba then asks to `set_env`."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Forget what Python errors would need: compiled code raises none."""


@register_pass(mutates_CFG=False, analysis_only=True)
class _PlaceForHelper(AnalysisPass):
    """Says where the code goes, before it is made."""

    _name = "place_for_helper"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        state.library = _HelperCode(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


class HelperCompiler(CompilerBase):
    """The usual passes, with the code of a helper in its place."""

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_PlaceForHelper, AnnotateTypes)
        passes.finalize()
        return [passes]
