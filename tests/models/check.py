# SPDX-License-Identifier: Apache-2.0
"""ONNX's own checker on every model of some folders, those of a newer opset than it knows left out.

    python3 check.py FOLDER...
"""
import pathlib
import sys

import onnx

checked = newer = 0
for folder in sys.argv[1:]:
    for path in sorted(pathlib.Path(folder).glob("*.onnx")):
        model = onnx.load(str(path))
        if any(s.version > onnx.defs.onnx_opset_version() for s in model.opset_import):
            newer += 1
            continue
        try:
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:
            sys.exit(f"{path}: {error}")
        checked += 1
print(f"models: ONNX's checker ({onnx.__version__}) accepts {checked} models; {newer} are of an opset that "
      "it does not know")
sys.exit(0 if checked else "no models")
