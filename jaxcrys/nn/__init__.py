"""Networks: Linen modules that hold parameters, over pure functions on dense masked arrays.

A network knows nothing of noise processes, losses or samplers. ``nn.backbone`` is what recipes ask
of a network, whichever it is.
"""

from jaxcrys.nn.backbone import BackboneConfig, BackboneOutput, init_backbone, run_backbone
from jaxcrys.nn.cspnet import CSPNet, CSPNetConfig, CSPNetOutput, run_cspnet
from jaxcrys.nn.orbit_net import OrbitNet, OrbitNetConfig, OrbitNetOutput, run_orbit_net

__all__ = [
    "BackboneConfig",
    "BackboneOutput",
    "CSPNet",
    "CSPNetConfig",
    "CSPNetOutput",
    "OrbitNet",
    "OrbitNetConfig",
    "OrbitNetOutput",
    "init_backbone",
    "run_backbone",
    "run_cspnet",
    "run_orbit_net",
]
