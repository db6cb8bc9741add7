"""numba's compiler for helpers, which only exist inside other compiled code, and for kernels.

Left to itself numba optimises every compiled function twice and makes machine code of it, of each helper with
all that it calls: a quarter to a third of the time a kernel took to compile. Kernels run as fast as before.
"""

from __future__ import annotations

from typing import Any, ClassVar

from llvmlite.binding import Linkage
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


class _OwnCode(_HelperCode):
    """Code that stands in a kernel once, to be called from several places."""

    def add_ir_module(self, module: Any) -> None:
        """Forbid LLVM to copy the function to where it is called."""
        for function in module.functions:
            if not function.is_declaration and "alwaysinline" not in function.attributes:
                function.attributes.add("noinline")
        super().add_ir_module(module)


class _KernelCode(JITCodeLibrary):
    """A kernel, and what it calls: nobody else's.

    numba tells functions of a name apart by their number in the process. That of another kernel, from another
    process by way of the disk, may have the same: which of both were called is chance.
    """

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._optimize_final_module()


@register_pass(mutates_CFG=False, analysis_only=True)
class _PlaceForHelper(AnalysisPass):
    """Says where the code goes, before it is made."""

    _name = "place_for_helper"
    code: ClassVar[type[JITCodeLibrary]] = _HelperCode

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        state.library = self.code(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


@register_pass(mutates_CFG=False, analysis_only=True)
class _PlaceForSeldom(_PlaceForHelper):
    """The same, of code that is not copied."""

    _name = "place_for_seldom"
    code = _OwnCode


class HelperCompiler(CompilerBase):
    """The usual passes, with the code of a helper in its place."""

    place: ClassVar[type[_PlaceForHelper]] = _PlaceForHelper

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(self.place, AnnotateTypes)
        passes.finalize()
        return [passes]


@register_pass(mutates_CFG=False, analysis_only=True)
class _PlaceForKernel(_PlaceForHelper):
    """The same, of what Python calls."""

    _name = "place_for_kernel"
    code = _KernelCode

    def run_pass(self, state: Any) -> bool:
        super().run_pass(state)
        state.library.enable_object_caching()
        return False


class KernelCompiler(HelperCompiler):
    """The same for kernels."""

    place = _PlaceForKernel


class SeldomCompiler(HelperCompiler):
    """The same for helpers that are long and seldom called."""

    place = _PlaceForSeldom
