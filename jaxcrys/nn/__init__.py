"""Networks: Linen modules that hold parameters, over pure functions on dense masked arrays.

A network knows nothing of noise processes, losses or samplers.
"""

from jaxcrys.nn.cspnet import CSPNet, CSPNetConfig, CSPNetOutput, run_cspnet

__all__ = ["CSPNet", "CSPNetConfig", "CSPNetOutput", "run_cspnet"]
