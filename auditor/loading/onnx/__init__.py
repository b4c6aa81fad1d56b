"""ONNX graphs as plain torch modules.

The converters that are kept up (onnx2torch, onnx2pytorch) require torchvision, which fails to import beside a CPU
build of torch, and give modules of their own that no certifier can walk. A classifier needs some thirty operators, so
they are translated here, to torch's own layers, and every translation is compared with ONNX's reference evaluator
before it is used."""

from auditor.loading.onnx.comparison import refuse_other_function
from auditor.loading.onnx.file import parse
from auditor.loading.onnx.graph import translate, translate_file

__all__ = ["parse", "refuse_other_function", "translate", "translate_file"]
