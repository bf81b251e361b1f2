# ruff: noqa: E501  # the lines are as wide as the programs print them, and hold signs like those of ASCII
"""Made-up logs of the habits of people and programs: by series, the points (step, value).

What is right was written down before the reader was tried on them.
"""

from math import inf, nan

STEPS = {"loss": [(10, 2.5), (20, 2.25)]}
EPOCHS = {"train_loss": [(1, 0.91), (2, 0.81)], "val_loss": [(1, 0.95), (2, 0.85)]}

NUMBERS = {
    "decimal commas": ("Epoch 1 train_loss: 0,91 val_loss: 0,95\nEpoch 2 train_loss: 0,81 val_loss: 0,85\n", EPOCHS),
    "decimal commas, cut at commas": (
        "epoch: 1, train_loss: 0,91, val_loss: 0,95\nepoch: 2, train_loss: 0,81, val_loss: 0,85\n",
        EPOCHS,
    ),
    "decimal commas, three digits": (
        "step 10; loss 2,500; lr 0,001\nstep 20; loss 2,250; lr 0,001\n",
        {**STEPS, "lr": [(10, 0.001), (20, 0.001)]},
    ),
    "decimal commas and percents": (
        "Epoch 1 - loss 2,5 - accuracy 98,5%\nEpoch 2 - loss 2,25 - accuracy 99,25%\n",
        {"loss": [(1, 2.5), (2, 2.25)], "accuracy": [(1, 98.5), (2, 99.25)]},
    ),
    "decimal commas in exponents": (
        "step 10 loss 2,5e-05\nstep 20 loss 2,25E-5\n",
        {"loss": [(10, 2.5e-5), (20, 2.25e-5)]},
    ),
    "commas between thousands": (
        "step 1,000 loss 12,345.6\nstep 2,000 loss 11,000.5\n",
        {"loss": [(1000, 12345.6), (2000, 11000.5)]},
    ),
    "whole thousands next to decimals": (
        "step 1,000 loss 12,345 lr 0.1\nstep 2,000 loss 11,000 lr 0.1\n",
        {"loss": [(1000, 12345), (2000, 11000)], "lr": [(1000, 0.1), (2000, 0.1)]},
    ),
    "points between thousands": (
        "step 10 loss 1.234,5\nstep 20 loss 1.100,25\n",
        {"loss": [(10, 1234.5), (20, 1100.25)]},
    ),
    "millions": ("step 10 loss 1,234,567\nstep 20 loss 1,100,000\n", {"loss": [(10, 1234567), (20, 1100000)]}),
    "metrics cut at commas without blanks": (
        "step=10,loss=2.5,lr=0.1\nstep=20,loss=2.25,lr=0.1\n",
        {**STEPS, "lr": [(10, 0.1), (20, 0.1)]},
    ),
    "underscores between thousands": (
        "step 1_000 loss 2.5\nstep 2_000 loss 2.25\n",
        {"loss": [(1000, 2.5), (2000, 2.25)]},
    ),
    "steps in thousands": (
        "step 1k loss 2.5\nstep 1.5k loss 2.25\nstep 1M loss 2.0\n",
        {"loss": [(1000, 2.5), (1500, 2.25), (1000000, 2.0)]},
    ),
    "not finite": (
        "step 1 loss NaN\nstep 2 loss nan\nstep 3 loss -nan\nstep 4 loss inf\nstep 5 loss -Inf\nstep 6 loss Infinity\n"
        "step 7 loss -nan(ind)\nstep 8 loss 1.#QNAN\nstep 9 loss -1.#INF\nstep 10 loss -1.#IND0\nstep 11 loss 1.5\n",
        {
            "loss": [
                (1, nan),
                (2, nan),
                (3, nan),
                (4, inf),
                (5, -inf),
                (6, inf),
                (7, nan),
                (8, nan),
                (9, -inf),
                (10, nan),
                (11, 1.5),
            ]
        },
    ),
    "no number yet": (
        "step 10 loss 2.5 val_loss None\nstep 20 loss 2.25 val_loss 2.3\n",
        {**STEPS, "val_loss": [(20, 2.3)]},
    ),
    "deviations": (
        "Epoch 1 | train loss 0.91 ± 0.03 | val loss 0.95 ± 0.05\nEpoch 2 | train loss 0.81 ± 0.02 | val loss 0.85 ± 0.04\n",
        EPOCHS,
    ),
    "speeds": ("step = 10, loss = 2.5, tokens/s = 12345\nstep = 20, loss = 2.25, tokens/s = 12345\n", STEPS),
}

SIGNS = {
    "arrows and lines": (
        "Epoch 1 ✅ train loss → 0.91 │ val loss → 0.95\nEpoch 2 ✅ train loss → 0.81 │ val loss → 0.85\n",
        EPOCHS,
    ),
    "a minus of Unicode": ("step 10 loss −2.5\nstep 20 loss −2.25\n", {"loss": [(10, -2.5), (20, -2.25)]}),
    "full-width signs": (
        "epoch：1，train_loss：0.91，val_loss：0.95\nepoch：2，train_loss：0.81，val_loss：0.85\n",
        EPOCHS,
    ),
    "emoji": (
        "🔥 Epoch 1 🔥 train_loss=0.91 📉 val_loss=0.95\n🔥 Epoch 2 🔥 train_loss=0.81 📉 val_loss=0.85\n",
        EPOCHS,
    ),
    "no-break blanks": ("step\u00a010 loss\u00a02.5\nstep\u00a020 loss\u00a02.25\n", STEPS),
    "changes behind arrows": (
        "Epoch 1: train loss 0.91 (↓ 0.05) val loss 0.95\nEpoch 2: train loss 0.81 (↓ 0.10) val loss 0.85\n",
        EPOCHS,
    ),
    "colours inside of numbers' pairs": (
        "\x1b[36mstep\x1b[0m=\x1b[35m10\x1b[0m \x1b[36mloss\x1b[0m=\x1b[35m2.5\x1b[0m\nstep=20 loss=\x1b[1;31m2.25\x1b[0m\n",
        STEPS,
    ),
}

SETS = {
    "holdout next to dev": (
        "epoch 1 | train loss 0.91 | dev loss 0.95 | holdout loss 0.97\nepoch 2 | train loss 0.81 | dev loss 0.85 | holdout loss 0.87\n",
        {**EPOCHS, "holdout_loss": [(1, 0.97), (2, 0.87)]},
    ),
    "holdout on a line of its own": (
        "Epoch 1 train loss 0.91 val loss 0.95\nEpoch 1 holdout loss 0.97\nEpoch 2 train loss 0.81 val loss 0.85\nEpoch 2 holdout loss 0.87\n",
        {**EPOCHS, "holdout_loss": [(1, 0.97), (2, 0.87)]},
    ),
    "clean and other": (
        "Epoch 1 train loss 2.5\nEpoch 1 dev-clean loss 2.6 wer 35.1\nEpoch 1 dev-other loss 2.9 wer 55.1\n"
        "Epoch 2 train loss 2.1\nEpoch 2 dev-clean loss 2.2 wer 25.1\nEpoch 2 dev-other loss 2.5 wer 45.1\n",
        {
            "train_loss": [(1, 2.5), (2, 2.1)],
            "dev-clean_loss": [(1, 2.6), (2, 2.2)],
            "dev-clean_wer": [(1, 35.1), (2, 25.1)],
            "dev-other_loss": [(1, 2.9), (2, 2.5)],
            "dev-other_wer": [(1, 55.1), (2, 45.1)],
        },
    ),
    "subsets with colons": (
        "Epoch 1 | train: loss 2.5 | test_a: loss 2.6 acc 0.5 | test_b: loss 2.9 acc 0.4\n"
        "Epoch 2 | train: loss 2.1 | test_a: loss 2.2 acc 0.6 | test_b: loss 2.5 acc 0.5\n",
        {
            "train_loss": [(1, 2.5), (2, 2.1)],
            "test_a_loss": [(1, 2.6), (2, 2.2)],
            "test_a_acc": [(1, 0.5), (2, 0.6)],
            "test_b_loss": [(1, 2.9), (2, 2.5)],
            "test_b_acc": [(1, 0.4), (2, 0.5)],
        },
    ),
    "seen and unseen": (
        "Epoch 1: train_loss=1.0 val_seen_loss=1.1 val_unseen_loss=1.3\nEpoch 2: train_loss=0.9 val_seen_loss=1.0 val_unseen_loss=1.25\n",
        {
            "train_loss": [(1, 1.0), (2, 0.9)],
            "val_seen_loss": [(1, 1.1), (2, 1.0)],
            "val_unseen_loss": [(1, 1.3), (2, 1.25)],
        },
    ),
    "sets of LightGBM": (
        "[10]\ttraining's l2: 0.5\tvalid_0's l2: 0.6\tvalid_1's l2: 0.61\n[20]\ttraining's l2: 0.4\tvalid_0's l2: 0.5\tvalid_1's l2: 0.51\n",
        {
            "train_l2": [(10, 0.5), (20, 0.4)],
            "valid_0_l2": [(10, 0.6), (20, 0.5)],
            "valid_1_l2": [(10, 0.61), (20, 0.51)],
        },
    ),
    "steps and epochs of Lightning": (
        "Epoch 0: 100%|██████████| 50/50 [00:05<00:00,  9.1it/s, v_num=0, train_loss_step=2.5, val_loss=2.7, train_loss_epoch=2.6]\n"
        "Epoch 1: 100%|██████████| 50/50 [00:05<00:00,  9.1it/s, v_num=0, train_loss_step=2.1, val_loss=2.4, train_loss_epoch=2.2]\n",
        {
            "train_loss_step": [(0, 2.5), (1, 2.1)],
            "val_loss": [(0, 2.7), (1, 2.4)],
            "train_loss_epoch": [(0, 2.6), (1, 2.2)],
        },
    ),
}

RANKS = {
    "of PyTorch": (
        "".join(f"[rank{r}]: step {s} loss {v}\n" for s, v in ((10, 2.5), (20, 2.25)) for r in range(4)),
        STEPS,
    ),
    "of torchrun": (
        "".join(f"[default{r}]:step {s} loss {v}\n" for s, v in ((10, 2.5), (20, 2.25)) for r in range(2)),
        STEPS,
    ),
    "with their own losses": (
        "".join(f"[Rank {r}] step {s} loss {v + r}\n" for s, v in ((10, 2.5), (20, 2.25)) for r in range(2)),
        STEPS,
    ),
    "in no order": (
        "rank 0: step 10 loss 2.5\nrank 1: step 10 loss 2.6\nrank 1: step 20 loss 2.25\nrank 0: step 20 loss 2.4\n",
        STEPS,
    ),
    "one after the other": (
        "rank 0: step 10 loss 2.5\nrank 0: step 20 loss 2.25\nrank 1: step 10 loss 2.6\nrank 1: step 20 loss 2.3\n",
        STEPS,
    ),
    "of MPI": (
        "".join(f"[1,{r}]<stdout>:step {s} loss {v + r}\n" for s, v in ((10, 2.5), (20, 2.25)) for r in range(2)),
        STEPS,
    ),
    "of srun": ("".join(f"{r}: step {s} loss {v}\n" for s, v in ((10, 2.5), (20, 2.25)) for r in range(2)), STEPS),
    "of Ray": (
        "".join(
            f"(RayTrainWorker pid={101 + r}, ip=10.0.0.1) epoch {e} loss {v + r}\n"
            for e, v in ((1, 2.5), (2, 2.25))
            for r in range(2)
        ),
        {"loss": [(1, 2.5), (2, 2.25)]},
    ),
    "of services": (
        "".join(f"trainer-{r}  | step {s} loss {v + r}\n" for s, v in ((10, 2.5), (20, 2.25)) for r in range(2)),
        STEPS,
    ),
    "of devices": (
        "".join(f"[GPU{r}] Epoch {e} | loss {v + r}\n" for e, v in ((1, 2.5), (2, 2.25)) for r in range(2)),
        {"loss": [(1, 2.5), (2, 2.25)]},
    ),
    "without a name": (
        "Epoch 1 loss 2.5\nEpoch 1 loss 2.5\nEpoch 2 loss 2.25\nEpoch 2 loss 2.25\n",
        {"loss": [(1, 2.5), (2, 2.25)]},
    ),
    "two handlers of one logger": (
        "INFO:root:step 10 loss 2.5\n2024-05-01 12:00:00,123 - INFO - step 10 loss 2.5\nINFO:root:step 20 loss 2.25\n"
        "2024-05-01 12:00:05,123 - INFO - step 20 loss 2.25\n",
        STEPS,
    ),
    "not finite": ("step 10 loss nan\nstep 10 loss nan\nstep 20 loss 2.25\n", {"loss": [(10, nan), (20, 2.25)]}),
    "that began again": (
        "".join(
            f"[rank{r}]: step {s} loss {v}\n"
            for s, v in ((10, 2.5), (20, 2.25), (10, 2.4), (20, 2.2))
            for r in range(2)
        ),
        {"loss": [(10, 2.5), (20, 2.25), (10, 2.4), (20, 2.2)]},
    ),
    "fewer of them, that began again": (
        "[rank0]: step 10 loss 2.5\n[rank1]: step 10 loss 2.6\n[rank1]: step 20 loss 2.25\n[rank0]: step 20 loss 2.3\n"
        "[rank0]: step 10 loss 2.4\n[rank0]: step 20 loss 2.2\n",
        {"loss": [(10, 2.5), (20, 2.25), (10, 2.4), (20, 2.2)]},
    ),
    "with other process ids, that began again": (
        "".join(
            f"(Worker pid={pid + r}) step {s} loss {v + r}\n"
            for pid in (100, 200)
            for s, v in ((10, 2.5), (20, 2.25), (30, 2.0), (40, 1.5))
            for r in range(2)
        ),
        {"loss": [(10, 2.5), (20, 2.25), (30, 2.0), (40, 1.5)] * 2},
    ),
    "of one process, that began again": (
        "".join(f"[rank0]: step {s} loss {v}\n" for s, v in ((10, 2.5), (20, 2.25), (10, 2.4), (20, 2.2))),
        {"loss": [(10, 2.5), (20, 2.25), (10, 2.4), (20, 2.2)]},
    ),
}

PLACES = {
    "llama-recipes": (
        "Training Epoch: 1/2, step 0/125 completed (loss: 1.7329):   1%|          | 1/125 [00:05<10:30,  5.09s/it]\r"
        "Training Epoch: 1/2, step 124/125 completed (loss: 1.21): 100%|██████████| 125/125 [10:10<00:00,  5.09s/it]\n"
        "evaluating Epoch: 100%|██████████| 20/20 [00:10<00:00,  1.90it/s]\n"
        " eval_ppl=tensor(3.4, device='cuda:0') eval_epoch_loss=tensor(1.2238, device='cuda:0')\n"
        "best eval loss on epoch 1 is 1.2238\n"
        "Epoch 1: train_perplexity=3.9, train_epoch_loss=1.36, epoch time 640.1s\n",
        {
            "train_loss": [(1, 1.21)],
            "eval_ppl": [(1, 3.4)],
            "eval_epoch_loss": [(1, 1.2238)],
            "train_perplexity": [(1, 3.9)],
            "train_epoch_loss": [(1, 1.36)],
        },
    ),
    "Levanter": (
        "Progress on:train 10it/100it rate:1.0it/s remaining:01:30 elapsed:00:10 postfix:loss=2.5\n"
        "Progress on:train 20it/100it rate:1.0it/s remaining:01:20 elapsed:00:20 postfix:loss=2.25\n",
        {"train_loss": [(10, 2.5), (20, 2.25)]},
    ),
    "iterations and time steps": (
        "iter 1: reward_mean=21.5 loss=2.5 timesteps_total=4000\niter 2: reward_mean=35.5 loss=2.25 timesteps_total=8000\n",
        {"reward_mean": [(4000, 21.5), (8000, 35.5)], "loss": [(4000, 2.5), (8000, 2.25)]},
    ),
    "steps of an epoch from 1 on": (
        "Epoch 1 Step 50 loss 1.5\nEpoch 1 Step 100 loss 1.4\nEpoch 1 done: train_loss 1.45 val_loss 1.5\n"
        "Epoch 2 Step 50 loss 1.3\nEpoch 2 Step 100 loss 1.2\nEpoch 2 done: train_loss 1.25 val_loss 1.35\n",
        {
            "loss": [(50, 1.5), (100, 1.4), (150, 1.3), (200, 1.2)],
            "train_loss": [(100, 1.45), (200, 1.25)],
            "val_loss": [(100, 1.5), (200, 1.35)],
        },
    ),
    "steps of an epoch from 0 on": (
        "Epoch 1 Step 0 loss 1.5\nEpoch 1 Step 50 loss 1.4\nEpoch 2 Step 0 loss 1.3\nEpoch 2 Step 50 loss 1.2\n",
        {"loss": [(0, 1.5), (50, 1.4), (100, 1.3), (150, 1.2)]},
    ),
    "evaluations of PaddleNLP": (
        "global step 10, epoch: 1, batch: 10, loss: 2.5, accu: 0.51, speed: 3.1 step/s\n"
        "global step 20, epoch: 1, batch: 20, loss: 2.25, accu: 0.61, speed: 3.1 step/s\neval loss: 0.62, accu: 0.60\n",
        {**STEPS, "accu": [(10, 0.51), (20, 0.61)], "val_loss": [(20, 0.62)], "val_accu": [(20, 0.6)]},
    ),
    "a job that was resumed": (
        "step 10 loss 2.5\nstep 20 loss 2.4\nstep 30 loss 2.3\nResuming from checkpoint step 10\nstep 20 loss 2.41\nstep 30 loss 2.29\n",
        {"loss": [(10, 2.5), (20, 2.4), (30, 2.3), (20, 2.41), (30, 2.29)]},
    ),
    "a job of SLURM": (
        "==========================================\nSLURM_JOB_ID = 12345\nSLURM_NODELIST = node01\n==========================================\n"
        "Loading dataset with 50000 samples, 10 classes\nModel has 11.2M parameters\nstep 10 loss 2.5\nstep 20 loss 2.25\n"
        "slurmstepd: error: *** JOB 12345 ON node01 CANCELLED AT 2024-05-01T12:00:00 DUE TO TIME LIMIT ***\n",
        STEPS,
    ),
}

SHAPES = {
    "YAML": (
        "epoch: 1\n  train_loss: 0.91\n  val_loss: 0.95\n---\nepoch: 2\n  train_loss: 0.81\n  val_loss: 0.85\n",
        EPOCHS,
    ),
    "semicolons": ("epoch=1;train_loss=0.91;val_loss=0.95\nepoch=2;train_loss=0.81;val_loss=0.85\n", EPOCHS),
    "dictionaries of Python": (
        "{'epoch': 1, 'train_loss': 0.91, 'val_loss': 0.95}\n{'epoch': 2, 'train_loss': 0.81, 'val_loss': 0.85}\n",
        EPOCHS,
    ),
    "dictionaries in order": (
        "OrderedDict([('epoch', 1), ('train_loss', 0.91), ('val_loss', 0.95)])\nOrderedDict([('epoch', 2), ('train_loss', 0.81), ('val_loss', 0.85)])\n",
        EPOCHS,
    ),
    "named tuples": (
        "Metrics(epoch=1, train_loss=0.91, val_loss=0.95)\nMetrics(epoch=2, train_loss=0.81, val_loss=0.85)\n",
        EPOCHS,
    ),
    "dictionaries by their sets": (
        "Epoch 1: {'train': {'loss': 0.91}, 'val': {'loss': 0.95}}\nEpoch 2: {'train': {'loss': 0.81}, 'val': {'loss': 0.85}}\n",
        EPOCHS,
    ),
    "CSV among other lines": (
        "Loading data\nepoch,train_loss,val_loss\n1,0.91,0.95\n2,0.81,0.85\nDone in 5 s\n",
        EPOCHS,
    ),
    "two sets, two values": ("Epoch 1: train/val loss: 0.91 / 0.95\nEpoch 2: train/val loss: 0.81 / 0.85\n", EPOCHS),
    "two sets in brackets, two values": (
        "Epoch 1 | Loss (train/val): 0.91/0.95\nEpoch 2 | Loss (train/val): 0.81/0.85\n",
        EPOCHS,
    ),
    "names with slashes": (
        "epoch 1: train/loss: 0.91, train/acc: 0.5, val/loss: 0.95\nepoch 2: train/loss: 0.81, train/acc: 0.6, val/loss: 0.85\n",
        {"train/loss": [(1, 0.91), (2, 0.81)], "train/acc": [(1, 0.5), (2, 0.6)], "val/loss": [(1, 0.95), (2, 0.85)]},
    ),
    "a count and a colon": ("10/100: loss 2.5\n20/100: loss 2.25\n", STEPS),
    "fractions of epochs with commas": ("epoch 0,5 loss 2,5\nepoch 1,0 loss 2,25\n", {"loss": [(0, 2.5), (1, 2.25)]}),
    "the system's journal": (
        "May 01 12:00:00 host python3[1234]: Epoch 1 train_loss 0.91 val_loss 0.95\nMay 01 12:00:05 host python3[1234]: Epoch 2 train_loss 0.81 val_loss 0.85\n",
        EPOCHS,
    ),
    "the best in brackets": (
        "Epoch 1 train_loss=0.91 val_loss=0.95 (best 0.95)\nEpoch 2 train_loss=0.81 val_loss=0.85 (best 0.85)\n",
        EPOCHS,
    ),
    "early stopping": (
        "Epoch 1 train_loss 0.91 val_loss 0.95\nValidation loss decreased (inf --> 0.950000).  Saving model ...\n"
        "Epoch 2 train_loss 0.81 val_loss 0.85\nValidation loss decreased (0.950000 --> 0.850000).  Saving model ...\nEarlyStopping counter: 1 out of 10\n",
        EPOCHS,
    ),
    "a bar of each set": (
        "".join(
            f"Epoch {e} train: 100%|██████████| 50/50 [00:05<00:00, 9.1it/s, loss={t}]\n"
            f"Epoch {e} valid: 100%|██████████| 10/10 [00:01<00:00, 9.1it/s, loss={v}]\n"
            for e, t, v in ((1, 0.91, 0.95), (2, 0.81, 0.85))
        ),
        EPOCHS,
    ),
    "tensors with gradients": (
        "step 10 loss tensor(2.5, grad_fn=<NllLossBackward0>)\nstep 20 loss tensor(2.25, device='cuda:0', grad_fn=<NllLossBackward0>)\n",
        STEPS,
    ),
    "addresses with losses in them": (
        "See https://example.org/me/loss/2.5 for step 10\nstep 10 loss 2.5\nstep 20 loss 2.25\n",
        STEPS,
    ),
}

HABITS = {
    f"{kind}: {name}": sample
    for kind, logs in (
        ("numbers", NUMBERS),
        ("signs", SIGNS),
        ("sets", SETS),
        ("ranks", RANKS),
        ("places", PLACES),
        ("shapes", SHAPES),
    )
    for name, sample in logs.items()
}
