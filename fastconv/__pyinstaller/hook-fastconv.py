"""Collects what a frozen program needs of fastconv and no import statement names.

Which instruction set is used is decided where the program runs, so that all compiled modules go
along; so do the data files, and the names and versions that ``fastconv doctor`` reports.
``fastconv.sklearn`` goes along where a program imports it, since scikit-learn comes with it.
"""

# mypy: ignore-errors

from importlib.metadata import PackageNotFoundError

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

APART = ("fastconv.__pyinstaller", "fastconv.sklearn")
hiddenimports = collect_submodules("fastconv", filter=lambda name: not name.startswith(APART))
# none of the sources, which a clone has beside the modules
datas = collect_data_files("fastconv", excludes=["**/*.p[xy]*", "**/*.[ch]", "**/*.md"])
for distribution in ("fastconv", "numpy", "safetensors", "tqdm"):
    try:
        datas += copy_metadata(distribution)
    except PackageNotFoundError:  # used from a clone, or installed by other means
        pass
