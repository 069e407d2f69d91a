"""Export: a trained model's encoder, decoder and score as ONNX or as torch programs, held against the model itself."""

from vaekit.export.folder import FORMATS, export

__all__ = ["FORMATS", "export"]
