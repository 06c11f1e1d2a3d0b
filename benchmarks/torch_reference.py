"""The same job in PyTorch, as well as it can be written there: an honest peer.

    python -m nst_jax.benchmark --peer [--peer_python=PYTHON_WITH_TORCH]

starts it; by hand it is `python torch_reference.py ASKED.json ANSWER.json`. It knows
nothing of nst_jax: the arrays come as an .npz file, the settings as JSON (see
nst_jax/benchmark/pack.py).

What is done for speed: parameters are frozen, so no gradient by them exists; the
memory format, eager mode, torch.compile and CUDA graphs are all tried, and the
fastest is what is measured; cuDNN searches its algorithms; Adam is fused. Losses are
float32 always, as ours are; bfloat16 is autocast of the network alone.
"""

import contextlib
import json
import statistics
import sys
import time

import numpy as np
import torch
from torch.nn import functional as F

VARIANTS = {
    "cpu": (
        "eager",
        "eager channels_last",
        "compile",
        "compile channels_last",
    ),
    "cuda": (
        "eager channels_last",
        "graph channels_last",
        "graph",
        "compile channels_last",
        "compile graph channels_last",
    ),
}
PARTS = 20
CHUNK_SECONDS = 0.5


class Job:
    """The arrays on the device, the targets, and the objective over them."""

    def __init__(self, job, arrays, device, precision, variant):
        self.job, self.device, self.precision = job, device, precision
        words = variant.split()
        self.format = (
            torch.channels_last if "channels_last" in words else torch.contiguous_format
        )
        self.layers = [
            (name, kind, *self.parameters(arrays, name, kind))
            for name, kind in job["network"]
        ]
        self.scale, mean, std = (
            torch.tensor(arrays[f"preprocessing/{name}"], device=device)
            for name in ("scale", "mean", "std")
        )
        self.mean, self.std = mean.view(1, 3, 1, 1), std.view(1, 3, 1, 1)
        self.names = {*job["content"], *job["style"]}
        with torch.no_grad():
            content = self.features(self.tensor(arrays["content"]))
            style = self.features(self.tensor(arrays["style"]))
            self.kept = {name: content[name].clone() for name in job["content"]}
            self.grams = {name: self.gram(style[name]) for name in job["style"]}

    def parameters(self, arrays, name, kind):
        if kind != "conv":
            return None, None
        kernel = torch.tensor(arrays[f"{name}/kernel"]).permute(3, 2, 0, 1)
        kernel = kernel.contiguous(memory_format=self.format).to(self.device)
        return kernel, torch.tensor(arrays[f"{name}/bias"], device=self.device)

    def tensor(self, image):
        """A picture `h w 3` as `1 3 h w`."""
        found = torch.tensor(image, dtype=torch.float32).permute(2, 0, 1)[None]
        return found.contiguous(memory_format=self.format).to(self.device)

    def features(self, image):
        found = {}
        mixed = self.precision == "mixed"
        x = (image * self.scale - self.mean) / self.std
        with torch.autocast(self.device, torch.bfloat16, enabled=mixed):
            for name, kind, kernel, bias in self.layers:
                x = self.layer(x, name, kind, kernel, bias)
                if name in self.names:
                    found[name] = x
        return {name: each.float() for name, each in found.items()}

    def layer(self, x, name, kind, kernel, bias):
        if kind == "relu":
            return F.relu(x)
        if kind == "pool":
            pool = F.max_pool2d if self.job["pooling"] == "max" else F.avg_pool2d
            return pool(x, 2, 2)
        if name == "conv1_1" and self.job["padding"] == "replicate":
            return F.conv2d(F.pad(x, (1, 1, 1, 1), "replicate"), kernel, bias)
        return F.conv2d(x, kernel, bias, padding=1)

    def gram(self, x):
        _, channels, height, width = x.shape
        flat = x.permute(0, 2, 3, 1).reshape(-1, channels)
        divisors = {
            "none": 1,
            "positions": height * width,
            "elements": channels * height * width,
        }
        return flat.t() @ flat / divisors[self.job["gram_division"]]

    def terms(self, image):
        found = self.features(image)
        content = {
            name: weight * F.mse_loss(found[name], self.kept[name])
            for name, weight in self.job["content"].items()
        }
        style = {
            name: weight * F.mse_loss(self.gram(found[name]), self.grams[name])
            for name, weight in self.job["style"].items()
        }
        tv = torch.zeros((), device=self.device)
        if self.job["tv_weight"]:
            across = image[..., 1:] - image[..., :-1]
            down = image[..., 1:, :] - image[..., :-1, :]
            squares = across.square().mean() + down.square().mean()
            tv = self.job["tv_weight"] * self.job["tv_range"] ** 2 * squares
        return content, style, tv

    def total(self, image):
        content, style, tv = self.terms(image)
        return sum([*content.values(), *style.values()], start=tv)


class Run:
    """An image on its way: `step()` moves it once and returns the loss before."""

    def __init__(self, job, image, variant):
        self.job, self.words = job, variant.split()
        self.image = job.tensor(image).requires_grad_()
        self.optimizer = self.moves(job.job)
        self.total = torch.compile(job.total) if "compile" in self.words else job.total
        self.captured = None
        if "graph" in self.words:
            self.capture()

    def moves(self, settings):
        """The optimiser, and `units`: in how many of them it sees a pixel's range."""
        self.units = 1 / settings["first_step"]
        if settings["optimizer"] == "adam":
            self.units = 1
            return torch.optim.Adam(
                [self.image],
                lr=settings["learning_rate"],
                betas=settings["betas"],
                eps=settings["epsilon"],
                fused=True,
            )
        # It looks at the image as one long vector, in that order.
        first = self.image.detach() * self.units
        self.image = first.contiguous().requires_grad_()
        # One update a call, so that the clock can be read between them; never done.
        return torch.optim.LBFGS(
            [self.image],
            lr=settings["learning_rate"],
            max_iter=1,
            history_size=settings["history"],
            tolerance_grad=-1,
            tolerance_change=-1,
        )

    def plain(self):
        if isinstance(self.optimizer, torch.optim.LBFGS):
            return self.optimizer.step(self.closure).detach()
        loss = self.total(self.image)
        (grad,) = torch.autograd.grad(loss, self.image)
        # Fused Adam pairs both by their places in memory.
        self.image.grad = grad.contiguous(memory_format=self.job.format)
        self.optimizer.step()
        if self.job.job["is_clipped"]:
            with torch.no_grad():
                self.image.clamp_(0, 1)
        return loss.detach()

    def closure(self):
        loss = self.total(self.image / self.units)
        (grad,) = torch.autograd.grad(loss, self.image)
        self.image.grad = grad.contiguous()
        return loss

    def capture(self):
        """The whole step as one CUDA graph, the update included."""
        first = self.image.detach().clone()
        self.optimizer.param_groups[0]["capturable"] = True
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.plain()
        torch.cuda.current_stream().wait_stream(side)
        self.captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.captured):
            self.loss = self.plain()
        self.reset(first)

    def reset(self, image):
        """Back to that image, as if no step had been taken."""
        with torch.no_grad():
            self.image.copy_(image)
        if isinstance(self.optimizer, torch.optim.LBFGS):
            self.optimizer.state.clear()
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()

    def step(self):
        if self.captured is None:
            return self.plain()
        self.captured.replay()
        return self.loss


def synchronise(device):
    if device == "cuda":
        torch.cuda.synchronize()


def timed(run, steps):
    """Seconds a step, and the loss before the last."""
    started = time.perf_counter()
    for _ in range(steps):
        loss = run.step()
    synchronise(run.job.device)
    return (time.perf_counter() - started) / steps, loss


def made(asked, arrays, variant):
    job = Job(asked["job"], arrays, asked["device"], asked["precision"], variant)
    return Run(job, arrays["initial"], variant)


def terms(asked, arrays):
    """Every term in float32 at the first image and at one where none is zero."""
    job = Job(asked["job"], arrays, asked["device"], "float32", "eager")
    found = {}
    for name in ("initial", "probe"):
        with torch.no_grad():
            content, style, tv = job.terms(job.tensor(arrays[name]))
        found[name] = {
            "content": {key: value.item() for key, value in content.items()},
            "style": {key: value.item() for key, value in style.items()},
            "tv": tv.item(),
        }
    return {"terms": found, "torch": torch.__version__}


def choose(asked, arrays):
    """Seconds a step of every variant, or why it does not work; the fastest."""
    found, failed = {}, {}
    for variant in VARIANTS[asked["device"]]:
        try:
            run = made(asked, arrays, variant)
            timed(run, 1)
            seconds, _ = timed(run, 2)
            steps = max(2, int(asked["seconds"] / seconds))
            found[variant], _ = timed(run, steps)
        # Compilers are not everywhere, and graphs have rules of their own.
        except Exception as error:
            failed[variant] = (str(error) or type(error).__name__).splitlines()[0]
    if not found:
        return {"failed": f"no variant works: {failed}"}
    return {"variants": found, "failures": failed, "best": min(found, key=found.get)}


def measure(asked, arrays):
    """Compilation, warm-up until even, and steady steps of one variant."""
    started = time.perf_counter()
    run = made(asked, arrays, asked["variant"])
    timed(run, 1)
    first = time.perf_counter() - started
    warm, rates, length = time.perf_counter(), [], 1
    while True:
        seconds, _ = timed(run, length)
        longest = max(1, int(CHUNK_SECONDS / seconds))
        rates = [*rates, seconds] if min(2 * length, longest) <= length else []
        length = max(length, min(2 * length, longest))
        spent = time.perf_counter() - warm
        last = rates[-3:]
        middle = statistics.median(last) if last else 0
        even = len(last) == 3 and all(abs(v - middle) <= 0.05 * middle for v in last)
        if spent >= asked["seconds"] / 4 and (even or spent >= 1.5 * asked["seconds"]):
            break
    samples, spent = [], 0.0
    while len(samples) < 5 or spent < asked["seconds"]:
        seconds, _ = timed(run, length)
        samples.append(seconds)
        spent += seconds * length
    return {"step_s": samples, "first_step_s": first, "is_stable": even}


def whole(asked, arrays):
    """The job from start to end: (step, seconds, loss) on the way, and the last loss.

    What compiles has compiled before the clock starts.
    """
    run = made(asked, arrays, asked["variant"])
    first = run.image.detach().clone()
    timed(run, 1)
    run.reset(first)
    steps, done, seconds, rows = asked["job"]["steps"], 0, 0.0, []
    while done < steps:
        count = min(-(-steps // PARTS), steps - done)
        each, loss = timed(run, count)
        done, seconds = done + count, seconds + each * count
        rows.append([done, seconds, loss.item()])
    with torch.no_grad():
        final = run.job.total(run.image / run.units).item()
    return {"curve": rows, "loss": final, "whole_s": seconds}


def main(question, answer):
    with open(question) as file:
        asked = json.load(file)
    with np.load(asked["arrays"]) as file:
        arrays = {name: file[name] for name in file.files}
    torch.backends.cudnn.benchmark = True
    # Terms are compared in float32, however the job is timed.
    is_tf32 = asked["precision"] == "tf32" and asked["kind"] != "terms"
    torch.backends.cudnn.allow_tf32 = is_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    work = {"terms": terms, "choose": choose, "measure": measure, "whole": whole}
    found = work[asked["kind"]](asked, arrays)
    with contextlib.suppress(FileNotFoundError), open(answer, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
