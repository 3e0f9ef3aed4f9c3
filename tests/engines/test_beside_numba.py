"""vLLM's CPU build loads after numba."""

from rerank.engines.beside_numba import hide_dict


def test_llvmlites_library_has_no_dict_and_still_works():
    from llvmlite.binding import ffi

    hide_dict()
    hide_dict()
    assert not hasattr(ffi.lib, "__dict__")
    assert ffi.lib.LLVMPY_GetVersionInfo() > 0
