"""What this site teaches: labels, the model that learns from them, and its versions."""

from filterd.learning.settings import LearningLimits, ReviewSettings
from filterd.learning.words import Klass, LearningError, Request, Result, Review

__all__ = ["Klass", "LearningError", "LearningLimits", "Request", "Result", "Review", "ReviewSettings"]
