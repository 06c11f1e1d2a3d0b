#!/usr/bin/env bash
# Everything worth knowing on a machine with an accelerator, in one call:
#
#     benchmarks/on_device.sh FOLDER [SECONDS]
#
# What only such a machine can test, every workload in the device's precisions, and
# the peer in alternation where there is a torch. Results go into FOLDER as JSON, CSV
# and logs; nothing that is missing or breaks stops the rest. It is over after some
# SECONDS (540). Variables:
#
#     PYTHON   the interpreter (python3)
#     WEIGHTS  as --weights; by default the real ones if they are here, or else random:
#              then nothing is validated
#     SECONDS_EACH     of steady steps for each job (4)
#     PEER_PRECISIONS  in which to take turns with PyTorch ("tf32 mixed float32")
set -uo pipefail
folder=${1:?usage: benchmarks/on_device.sh FOLDER [SECONDS]}
limit=${2:-540}
python=${PYTHON:-python3}
each=${SECONDS_EACH:-4}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."
started=$SECONDS

left() { echo $((limit - (SECONDS - started))); }

has() { "$python" -c "import $1" 2>/dev/null; }

# run NAME SHARE COMMAND...: a part, with at most SHARE of the seconds that are left.
run() {
    local name=$1 allowed=$(($(left) * $2 / 100))
    shift 2
    if [ "$allowed" -lt 5 ]; then
        echo "$name: left out, the time is used up"
        return
    fi
    echo "$name (at most $allowed s): $*"
    timeout --signal=INT --kill-after=10 "$allowed" "$@" >"$folder/$name.log" 2>&1
    echo "$name: status $? after $((SECONDS - started)) s"
    tail -n 60 "$folder/$name.log"
}

for package in jax flax optax absl jaxtyping numpy PIL h5py safetensors imagecodecs scipy tqdm filelock platformdirs; do
    has "$package" || echo "missing: $package (nst_jax needs it)"
done
nvidia-smi 2>/dev/null || echo "missing: nvidia-smi"
"$python" -c "import jax; print(jax.__version__, jax.devices())" || exit 1

weights=${WEIGHTS:-}
if [ -z "$weights" ]; then
    weights=random
    "$python" -c "from nst_jax.pretrained import places; exit(not places.find('vgg19-caffe'))" &&
        weights=vgg19-caffe
fi
echo "weights: $weights"
precisions=$("$python" -c "
import jax
kinds = {'gpu': 'float32,tf32,mixed', 'tpu': 'float32,mixed'}
print(kinds.get(jax.devices()[0].platform, 'float32,mixed'))")

if has pytest && has pytest_timeout && has beartype && has hypothesis; then
    run tests 15 "$python" -m pytest -q \
        tests/test_stack.py tests/test_precision.py tests/test_convolution.py \
        tests/test_solve.py tests/test_lbfgs.py
else
    echo "tests: left out, pytest, pytest-timeout, beartype or hypothesis is missing"
fi
common=(--weights="$weights" --offline --overwrite --measure_seconds="$each")
run precisions 45 "$python" -m nst_jax.benchmark --precisions="$precisions" \
    --workload=nst-512-plain-300/v1,nst-512-adam-500/v1 "${common[@]}" \
    --json="$folder/precisions.json" --csv="$folder/precisions.csv"
run others 40 "$python" -m nst_jax.benchmark "${common[@]}" \
    --workload=nst-256-adam-200/v1,nst-512-lbfgs-200/v1,nst-1024-adam-100/v1 \
    --json="$folder/others.json" --csv="$folder/others.csv"
if has torch; then
    # One precision a call, so that whole comparisons are kept when the time is used up.
    for precision in ${PEER_PRECISIONS:-tf32 mixed float32}; do
        run "peer-$precision" 60 "$python" -m nst_jax.benchmark --peer --quick \
            --workload=nst-512-plain-300/v1 --precision="$precision" \
            --alternations=3 "${common[@]}" --json="$folder/peer-$precision.json"
    done
else
    echo "peer: left out, torch is missing (pip install -e '.[benchmark]')"
fi
run profile 100 "$python" -m nst_jax.benchmark --quick "${common[@]}" \
    --workload=nst-512-plain-300/v1 --profile="$folder/profile" \
    --json="$folder/profile.json"
tar -C "$folder" -czf "$folder/profile.tar.gz" profile && rm -r "$folder/profile"
echo "done after $((SECONDS - started)) s"
