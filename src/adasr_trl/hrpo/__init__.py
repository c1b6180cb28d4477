"""HRPO, hierarchical relative policy optimization, on TRL's GRPOTrainer."""

from adasr_trl.hrpo.alarms import CollapseAlarms
from adasr_trl.hrpo.config import HRPOConfig
from adasr_trl.hrpo.sample_callback import KeepSamples
from adasr_trl.hrpo.trainer import HRPOTrainer

__all__ = ["CollapseAlarms", "HRPOConfig", "HRPOTrainer", "KeepSamples"]
