"""What a trained classifier thinks of a message. scikit-learn is never imported from here."""

from filterd.classifier.live import Live, open_live
from filterd.classifier.manifest import Manifest, ModelError
from filterd.classifier.model import Model, ModelSettings, load_model, load_shipped_or
from filterd.classifier.taught import Taught, open_taught
from filterd.classifier.think import think
from filterd.record import Opinion

__all__ = [
    "Live",
    "Manifest",
    "Model",
    "ModelError",
    "ModelSettings",
    "Opinion",
    "Taught",
    "load_model",
    "load_shipped_or",
    "open_live",
    "open_taught",
    "think",
]
