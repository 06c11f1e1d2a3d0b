#!/bin/bash
# Many jobs under SLURM: each task of an array does its part of a table of jobs.
#
#     sbatch --array=0-3 deploy/slurm_jobs.sh 4 jobs.csv out
#
# The 4 says how many parts there are. To do one of them again, name it, and still say
# so: sbatch --array=2 deploy/slurm_jobs.sh 4 jobs.csv out
#
# Nobody has run this on a cluster yet. The folder must be one that all nodes see; the
# weights are fetched once, before: python -m nst_jax.pretrained fetch vgg19-caffe
#SBATCH --job-name=nst-jobs
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-task=1
#SBATCH --ntasks=1
#SBATCH --time=12:00:00
#SBATCH --requeue
# Time to keep the picture at hand, before the node is taken away.
#SBATCH --signal=TERM@60
set -euo pipefail
# srun does not take it over by itself.
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

parts=$1
table=$2
output=$3
shift 3

# What a task that was cut off has done is there when it starts again.
part=$SLURM_ARRAY_TASK_ID
exec srun python -m nst_jax.run \
  --manifest="$table" \
  --output="$output" \
  --shard="$part/$parts" \
  --offline \
  "$@"
