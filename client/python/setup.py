"""The C part, shmd._sync, which locks need, and which makes the rest cheaper. Without a compiler everything else is installed
all the same. What is plain is in pyproject.toml."""

import sys
import sysconfig

from setuptools import Extension, setup

# One build for all versions from 3.9 on, but where that cannot be: CPython 3.9 with debugging, and without the GIL.
limited = not hasattr(sys, "gettotalrefcount") and not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    ext_modules=[
        Extension(
            "shmd._sync",
            sources=["native/_sync.c", "native/area.c", "native/lock.c", "native/memory.c", "native/queue.c",
                     "native/words.c"],
            depends=["native/sync_python.h", "native/sync_core.h", "native/sync_wait.h", "native/sync_area.h",
                     "native/detach_queue.h"],
            define_macros=[("Py_LIMITED_API", "0x03090000")] if limited else [],
            py_limited_api=limited,
            extra_compile_args=["-fvisibility=hidden", "-Werror=implicit-function-declaration"],
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp39"}} if limited else {},
)
