"""pythae's own trainer on the cases of train_speed.py; run by it in an environment of pythae's.

    python benchmarks/pythae_speed.py MLP|conv|table STEPS

Prints one JSON line with the seconds of a step: the time of a longer training less that of a shorter one, so that what
happens once does not count.
"""

import json
import sys
import tempfile
import time

import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import nn


class Encoder(BaseEncoder):
    def __init__(self, body, features, latent):
        super().__init__()
        self.body, self.mean, self.log_var = body, nn.Linear(features, latent), nn.Linear(features, latent)

    def forward(self, x):
        h = self.body(x)
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, z):
        return ModelOutput(reconstruction=self.body(z))


def parts(name):
    if name == "MLP":
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU())
        decoder = nn.Sequential(
            nn.Linear(20, 512), nn.ReLU(), nn.Linear(512, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))
        )
        return torch.rand(20_000, 1, 28, 28), Encoder(encoder, 512, 20), Decoder(decoder), 20, 128, "bce"
    if name == "conv":
        convs = [nn.Conv2d(a, b, 4, 2, 1) for a, b in ((1, 32), (32, 64), (64, 128))]
        encoder = nn.Sequential(*[p for c in convs for p in (c, nn.ReLU())], nn.Flatten())
        decoder = nn.Sequential(
            nn.Linear(16, 128 * 9), nn.ReLU(), nn.Unflatten(1, (128, 3, 3)), nn.ConvTranspose2d(128, 64, 3, 2),
            nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip
        return torch.rand(20_000, 1, 28, 28), Encoder(encoder, 1152, 16), Decoder(decoder), 16, 128, "bce"
    encoder, decoder = (
        nn.Sequential(nn.Linear(30, 128), nn.ReLU()),
        nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 30)),
    )
    return torch.randn(20_000, 30), Encoder(encoder, 128, 8), Decoder(decoder), 8, 256, "mse"


def seconds(name, steps):
    data, encoder, decoder, latent, batch, loss = parts(name)
    config = VAEConfig(input_dim=tuple(data.shape[1:]), latent_dim=latent, reconstruction_loss=loss)
    model = VAE(config, encoder=encoder, decoder=decoder)
    settings = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        num_epochs=1,
        per_device_train_batch_size=batch,
        learning_rate=1e-3,
        no_cuda=True,
    )
    from pythae.data.datasets import BaseDataset

    rows = data[: steps * batch].repeat((steps * batch) // len(data) + 1, *([1] * (data.dim() - 1)))[
        : steps * batch
    ]
    trainer = BaseTrainer(
        model, train_dataset=BaseDataset(rows, torch.zeros(len(rows))), training_config=settings
    )
    began = time.perf_counter()
    trainer.train()
    return time.perf_counter() - began


def main():
    name, steps = sys.argv[1], int(sys.argv[2])
    seconds(name, 20)
    short, long = seconds(name, 50), seconds(name, 50 + steps)
    print(json.dumps({"seconds": (long - short) / steps}))


main()
