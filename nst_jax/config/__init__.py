"""Every setting of the program, once: type, default, help and range.

Standard library only, so that a wrong flag is answered before JAX is loaded.
The command line is generated from these dataclasses. In the core only the
composing rooms (objective, optimizers, guides, prepare, noise, stages, transfer,
memory) see one: the mathematics takes plain numbers.
"""

import dataclasses

from nst_jax import layers
from nst_jax.config.jobs import JobsConfig as JobsConfig
from nst_jax.config.memory import MemoryConfig as MemoryConfig
from nst_jax.config.method import STYLE_LOSSES as STYLE_LOSSES
from nst_jax.config.method import NetworkConfig as NetworkConfig
from nst_jax.config.method import ObjectiveConfig as ObjectiveConfig
from nst_jax.config.moves import OptimizerConfig as OptimizerConfig
from nst_jax.config.moves import SolveConfig as SolveConfig
from nst_jax.config.outcome import OutputConfig as OutputConfig
from nst_jax.config.pictures import FIRST_IMAGES as FIRST_IMAGES
from nst_jax.config.pictures import ControlConfig as ControlConfig
from nst_jax.config.pictures import InputConfig as InputConfig
from nst_jax.config.spread import SpreadConfig as SpreadConfig
from nst_jax.errors import RequestError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of one run, by concern."""

    inputs: InputConfig = InputConfig()
    control: ControlConfig = ControlConfig()
    network: NetworkConfig = NetworkConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    solve: SolveConfig = SolveConfig()
    memory: MemoryConfig = MemoryConfig()
    spread: SpreadConfig = SpreadConfig()
    output: OutputConfig = OutputConfig()

    def __post_init__(self) -> None:
        if self.inputs.style:
            self.objective.check_styles(len(self.inputs.style))
        self._check_terms()
        self._check_spread()

    def overwriting(self) -> "Config":
        """The same settings, but files that are there may be replaced."""
        output = dataclasses.replace(self.output, overwrite=True)
        return dataclasses.replace(self, output=output)

    def silent(self) -> "Config":
        """The same settings, but errors alone are told."""
        output = dataclasses.replace(self.output, quiet=True)
        return dataclasses.replace(self, output=output)

    def used_layers(self) -> tuple[str, ...]:
        """The names of all layers that are looked at."""
        goal, network = self.objective, self.network.network
        content = layers.weighted(goal.content_layers, network)
        return (*content, *layers.weighted_each(goal.style_layers, network))

    def least_side(self) -> int:
        """Rows and columns that leave the deepest layer in use a position."""
        return layers.least_side(self.used_layers(), self.network.network)

    def least_content(self) -> int:
        """The same of the content, whose edges need three windows each way too."""
        goal = self.objective
        edges = 3 * goal.laplacian_pool if goal.laplacian_weight else 0
        return max(self.least_side(), edges)

    def tiling(self) -> tuple[int, int]:
        """What rows and columns of the result are multiples of.

        Where it wraps each pool must meet whole windows; else any size will do.
        """
        step = layers.stride(self.used_layers(), self.network.network)
        wrap = self.control.wrap
        return step if "y" in wrap else 1, step if "x" in wrap else 1

    def is_texture(self) -> bool:
        """Whether only the style is looked at: then the content may be left out."""
        goal = self.objective
        weights = (goal.content_weight, goal.laplacian_weight)
        return not any(weights) and self.inputs.init not in ("content", "blend")

    def _check_spread(self) -> None:
        """What is looked at whole cannot be shared out, nor what goes round."""
        if self.spread.is_one():
            return
        looks = self.memory
        if looks.tile == "none" or looks.rematerialize:
            name = "--rematerialize" if looks.rematerialize else "--tile=none"
            raise RequestError(
                f"--devices={self.spread.devices} shares windows out, so it cannot go "
                f"with {name}; leave it out"
            )
        if self.spread.spread == "rows" and self.needs_copies():
            raise RequestError(
                "--spread=rows goes with no --wrap=y, --basis=waves, "
                "--laplacian_weight, --longest_step or --tv_loss=nine_point, got "
                f"--wrap={self.control.wrap} --basis={self.optimizer.basis} "
                f"--laplacian_weight={self.objective.laplacian_weight:g} "
                f"--longest_step={self.optimizer.longest_step:g} "
                f"--tv_loss={self.objective.tv_loss}; --spread=copies takes them"
            )
        if ":" in self.output.device:
            raise RequestError(
                f"--devices={self.spread.devices} takes the first ones of a kind, so "
                f"--device must be without a number, got {self.output.device}"
            )

    def needs_copies(self) -> bool:
        """Whether several devices must hold the whole picture each."""
        goal = self.objective
        # What looks across borders or in windows of its own, XLA would gather.
        whole = bool(goal.laplacian_weight) or self.optimizer.basis == "waves"
        whole |= bool(goal.tv_weight) and goal.tv_loss == "nine_point"
        # A mean over all values would count the idle ones.
        whole |= bool(self.optimizer.longest_step)
        return whole or "y" in self.control.wrap

    def _check_terms(self) -> None:
        """Layers are known ones, and something is left to minimise."""
        goal = self.objective
        factors = [goal.tv_weight, goal.laplacian_weight]
        weights = {
            "content": layers.weighted(
                goal.content_layers, self.network.network, "--content_layers"
            ),
            "style": goal.style_layer_weights(self.network.network),
        }
        for name, entries in weights.items():
            weight = getattr(goal, f"{name}_weight")
            if weight and not entries:
                raise RequestError(
                    f"--{name}_layers must name a layer, got none; to leave the {name} "
                    f"out, --{name}_weight=0"
                )
            factors += [weight * factor for factor in entries.values()]
        if not any(factors):
            raise RequestError(
                "one of --content_weight, --style_weight, --tv_weight and "
                "--laplacian_weight must be above 0, got 0 for all of them"
            )
