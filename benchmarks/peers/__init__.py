"""fastconv beside PyTorch, ONNX Runtime, OpenVINO, MNN and ncnn, in one process and one run.

::

    __main__    what to measure; writes the report
       |
    tables/     a module for each table: cases, contenders, ratios
       |
    libraries/  a module for each library: how it is called at its best
       |
    timing      the race: contenders take turns, round by round

Run from the folder above: ``python -m peers --help``.
"""
