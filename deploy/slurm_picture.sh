#!/bin/bash
# One picture on several nodes under SLURM: a process on each, which JAX finds itself.
#
#     sbatch --nodes=4 deploy/slurm_picture.sh photo.jpg painting.jpg large.png --size=16384
#
# Nobody has run this on a cluster yet; docs/scale.md has what was run elsewhere. All
# nodes must see the pictures and the folder of the result.
#SBATCH --job-name=nst-picture
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail
# srun does not take it over by itself.
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

content=$1
style=$2
output=$3
shift 3

# After a break the same job goes on from its last checkpoint.
exec srun --kill-on-bad-exit=1 python -m nst_jax.run \
  --content="$content" \
  --style="$style" \
  --output="$output" \
  --distributed \
  --checkpoint="$output.checkpoint" \
  --resume \
  --offline \
  "$@"
