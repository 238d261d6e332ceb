"""Batch norm over many workers: Fashion-MNIST with DistributedDataParallel and SyncBatchNorm.

    torchrun --nproc-per-node 2 experiments/distributed.py            statistics of all workers
    torchrun --nproc-per-node 2 experiments/distributed.py --plain    of each worker's own images

Every step has the same `--batch` images however many workers share them, so with `--plain` a
worker's statistics come from fewer. Where each worker has a GPU they talk over nccl, else over
gloo. This is an example and records nothing: what it prints depends on how many workers there are.
"""

import argparse
import os
from datetime import timedelta

import torch
import torch.distributed as dist
from fashion_cnn import SIZE, convolutional
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from training import IMAGE_MEAN_AND_STD, accuracy, batches, images

from bnlib.nn import SyncBatchNorm

WAIT = timedelta(seconds=60)  # a worker that is lost ends the others with an error by then
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plain", action="store_true", help="do not share statistics")
    parser.add_argument("--batch", type=int, default=16, help="images a step, of all workers")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.3)
    options = parser.parse_args()
    if "RANK" not in os.environ:
        parser.error("start it with torchrun --nproc-per-node 2 experiments/distributed.py")
    if options.steps < 1:
        parser.error(f"--steps: expected at least 1, got {options.steps}")
    on_gpu = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    device = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=WAIT)
    try:
        train(options, device)
    finally:
        dist.destroy_process_group()


def train(options: argparse.Namespace, device: str) -> None:
    rank, workers = dist.get_rank(), dist.get_world_size()
    if options.batch % workers or options.batch // workers < 2:
        raise SystemExit(
            f"--batch: expected a multiple of {workers} workers, at least 2 images for each, "
            f"got {options.batch}"
        )
    x_train, y_train, x_test, y_test = fashion(device)
    if options.batch > len(x_train):
        raise SystemExit(f"--batch: expected at most {len(x_train)} images, got {options.batch}")
    torch.manual_seed(SEED)  # the same weights everywhere
    net = convolutional("per channel")
    if not options.plain:
        net = SyncBatchNorm.convert_sync_batchnorm(net)
    net = DistributedDataParallel(net.to(device))
    optimizer = torch.optim.SGD(net.parameters(), lr=options.rate)
    losses = []
    for chosen in batches(len(x_train), options.batch, options.steps, SEED, device):
        own = chosen[rank::workers]
        loss = nn.functional.cross_entropy(net(x_train[own]), y_train[own])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    if rank == 0:
        last = torch.stack(losses[-20:]).mean().item()
        seen = options.batch // workers if options.plain else options.batch
        print(
            f"{workers} workers, {options.batch} images a step, statistics of {seen}: "
            f"loss {last:.3f}, test accuracy {accuracy(net.module, x_test, y_test):.1%}"
        )


def fashion(device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    data = images("fashion-mnist", device)
    mean, std = IMAGE_MEAN_AND_STD["fashion-mnist"]
    x_train, x_test = (
        ((data[name] - mean) / std).reshape(-1, 1, SIZE, SIZE) for name in ("x_train", "x_test")
    )
    return x_train, data["y_train"], x_test, data["y_test"]


if __name__ == "__main__":
    main()
