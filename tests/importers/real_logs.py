# ruff: noqa: E501  # the lines are as wide as the programs print them
"""What frameworks printed when they were run, cut short, and logs of several processes: by series, the points."""

FRAMEWORKS = {
    "Keras with checkpoints": (
        "Epoch 1/2\n\n\x1b[1m 1/25\x1b[0m \x1b[37m━━━━━━━━━━━━━━━━━━━━\x1b[0m \x1b[1m0s\x1b[0m 29ms/step - AUC: 0.4841 - accuracy: 0.5000 - loss: 0.7812"
        "\r\x1b[1m25/25\x1b[0m \x1b[32m━━━━━━━━━━━━━━━━━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m0s\x1b[0m 77ms/step - AUC: 0.5270 - accuracy: 0.5550 - loss: 0.7188\n"
        "Epoch 1: val_loss improved from None to 0.66069, saving model to m.keras\n\nEpoch 1: finished saving model to m.keras\n"
        "\x1b[1m25/25\x1b[0m ━━━━━━━━━━━━━━━━━━━━ 4s 152ms/step - AUC: 0.5270 - accuracy: 0.5550 - loss: 0.7188 - val_AUC: 0.6340 - val_accuracy: 0.6350 - val_loss: 0.6607 - learning_rate: 0.0010\n"
        "Epoch 2/2\n\n\x1b[1m25/25\x1b[0m ━━━━━━━━━━━━━━━━━━━━ 0s 70ms/step - AUC: 0.6358 - accuracy: 0.6125 - loss: 0.6646\n"
        "Epoch 2: val_loss improved from 0.66069 to 0.62010, saving model to m.keras\n\nEpoch 2: finished saving model to m.keras\n"
        "\x1b[1m25/25\x1b[0m ━━━━━━━━━━━━━━━━━━━━ 4s 150ms/step - AUC: 0.6358 - accuracy: 0.6125 - loss: 0.6646 - val_AUC: 0.7206 - val_accuracy: 0.6875 - val_loss: 0.6201 - learning_rate: 0.0010\n",
        {
            "loss": [(1, 0.7188), (2, 0.6646)],
            "auc": [(1, 0.527), (2, 0.6358)],
            "accuracy": [(1, 0.555), (2, 0.6125)],
            "val_auc": [(1, 0.634), (2, 0.7206)],
            "val_accuracy": [(1, 0.635), (2, 0.6875)],
            "val_loss": [(1, 0.6607), (2, 0.6201)],
            "learning_rate": [(1, 0.001), (2, 0.001)],
        },
    ),
    "a bar of Lightning that holds values of the epoch before": (
        "┏━━━┳━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━┳━━━━━━━┓\n┃   ┃ Name ┃ Type   ┃ Params ┃ Mode  ┃ FLOPs ┃\n┡━━━╇━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━╇━━━━━━━┩\n│ 0 │ l    │ Linear │     26 │ train │     0 │\n└───┴──────┴────────┴────────┴───────┴───────┘\n"
        "\rSanity Checking DataLoader 0: 100%|██████████| 2/2 [00:00<00:00, 11.29it/s]\n"
        + "".join(
            f"\rEpoch {e}:  80%|████████  | 20/25 [00:01<00:00, 12.76it/s, v_num=0, train_loss_step=0.9{before}]"
            f"\rEpoch {e}: 100%|██████████| 25/25 [00:01<00:00, 13.77it/s, v_num=0, train_loss_step={step}{before}]\n"
            "\rValidation: |          | 0/? [00:00<?, ?it/s]\x1b[A\n\rValidation DataLoader 0: 100%|██████████| 13/13 [00:00<00:00, 70.78it/s]\x1b[A\n"
            f"\rEpoch {e}: 100%|██████████| 25/25 [00:02<00:00, 12.40it/s, v_num=0, train_loss_step={step}, val_loss={val}, train_loss_epoch={old}]"
            f"\rEpoch {e}: 100%|██████████| 25/25 [00:02<00:00, 12.40it/s, v_num=0, train_loss_step={step}, val_loss={val}, train_loss_epoch={mean}]"
            f"\rEpoch {e}:   0%|          | 0/25 [00:00<?, ?it/s, v_num=0, train_loss_step={step}, val_loss={val}, train_loss_epoch={mean}]         "
            for e, before, step, val, old, mean in (
                (0, "", 0.452, 0.413, 0.5, 0.522),
                (1, ", val_loss=0.413, train_loss_epoch=0.522", 0.359, 0.321, 0.522, 0.355),
                (2, ", val_loss=0.321, train_loss_epoch=0.355", 0.351, 0.321, 0.355, 0.308),
            )
        )
        + "\n`Trainer.fit` stopped: `max_epochs=3` reached.\n",
        {
            "train_loss_step": [(0, 0.452), (1, 0.359), (2, 0.351)],
            "val_loss": [(0, 0.413), (1, 0.321), (2, 0.321)],
            "train_loss_epoch": [(0, 0.522), (1, 0.355), (2, 0.308)],
        },
    ),
    "a bar of Ignite": (
        "".join(
            f"\rEpoch [{e}/2]: [1/25]   4%|▍         , loss={0.9 / e:.3f} [00:00<?]\rEpoch [{e}/2]: [25/25] 100%|██████████, loss={0.8 / e:.3f} [00:01<00:00]\n"
            f"Training Results - Epoch: {e}  Avg accuracy: 0.8{e} Avg loss: 0.3{e}\nValidation Results - Epoch: {e}  Avg accuracy: 0.7{e} Avg loss: 0.4{e}\n"
            for e in (1, 2)
        ),
        {
            "loss": [(1, 0.8), (2, 0.4)],
            "train_accuracy": [(1, 0.81), (2, 0.82)],
            "train_loss": [(1, 0.31), (2, 0.32)],
            "val_accuracy": [(1, 0.71), (2, 0.72)],
            "val_loss": [(1, 0.41), (2, 0.42)],
        },
    ),
    "a bar through all epochs, and a logger behind it": (
        "\rSteps:  25%|██▌       | 1/4 [00:00<00:10,  9.53it/s]\rSteps:  25%|██▌       | 1/4 [00:00<00:10,  9.53it/s, step_loss=0.8]"
        "\rSteps:  50%|█████     | 2/4 [00:00<00:10,  9.53it/s, step_loss=0.8]\rSteps:  50%|█████     | 2/4 [00:00<00:10,  9.53it/s, step_loss=0.7]"
        "11/29/2026 13:23:16 - INFO - __main__ - epoch 0: {'accuracy': 0.5, 'loss': 0.75}\n"
        "\rSteps:  75%|███████▌  | 3/4 [00:00<00:10,  9.53it/s, step_loss=0.7]\rSteps:  75%|███████▌  | 3/4 [00:00<00:10,  9.53it/s, step_loss=0.6]"
        "\rSteps: 100%|██████████| 4/4 [00:00<00:10,  9.53it/s, step_loss=0.5]"
        "11/29/2026 13:23:16 - INFO - __main__ - epoch 1: {'accuracy': 0.6, 'loss': 0.55}\n\rSteps: 100%|██████████| 4/4 [00:00<00:00,  9.53it/s, step_loss=0.5]\n",
        {
            "step_loss": [(1, 0.8), (2, 0.7), (3, 0.6), (4, 0.5)],
            "accuracy": [(2, 0.5), (4, 0.6)],
            "loss": [(2, 0.75), (4, 0.55)],
        },
    ),
    "dictionaries of Transformers next to a bar": (
        "\r  0%|          | 0/80 [00:00<?, ?it/s]\r 11%|█         | 9/80 [00:02<00:14,  4.92it/s]"
        "\n                                               \n\r{'loss': '0.6928', 'grad_norm': '0.106', 'epoch': '0.5'}\n"
        "\r 12%|█▎        | 10/80 [00:02<00:14,  4.92it/s]\r 25%|██▌       | 20/80 [00:04<00:12,  4.77it/s]"
        "\n\r{'loss': '0.6903', 'grad_norm': '0.1475', 'epoch': '1'}\n\r 25%|██▌       | 20/80 [00:04<00:12,  4.77it/s]"
        "\n\r  0%|          | 0/8 [00:00<?, ?it/s]\x1b[A\r100%|██████████| 8/8 [00:00<00:00, 45.22it/s]\x1b[A"
        "\n                                               \x1b[A\n\r{'eval_loss': '0.6877', 'eval_runtime': '1.11', 'epoch': '1'}\n"
        "\r 25%|██▌       | 20/80 [00:05<00:12,  4.77it/s]\r 26%|██▋       | 21/80 [00:05<00:12,  4.77it/s]\n",
        {"loss": [(10, 0.6928), (20, 0.6903)], "grad_norm": [(10, 0.106), (20, 0.1475)], "eval_loss": [(20, 0.6877)]},
    ),
    "a bar of epochs around those of batches": (
        "".join(
            f"\rEpochs:  {e * 50}%|█| {e}/2 [00:00<?, ?it/s{old}]\n\rtrain {e}:   0%|          | 0/9 [00:00<?, ?it/s]\x1b[A"
            f"\n\rtrain {e}:  90%|█████████ | 8/9 [00:00<00:00, 79.82it/s, loss={e}.5]\x1b[A\n\r        \x1b[A"
            f"\rEpochs:  {e * 50}%|█| {e}/2 [00:00<?, ?it/s, val_loss={e}.75]"
            for e, old in ((0, ""), (1, ", val_loss=0.75"))
        )
        + "\rEpochs: 100%|█| 2/2 [00:00<?, ?it/s, val_loss=1.75]\n",
        {"train_loss": [(0, 0.5), (1, 1.5)], "val_loss": [(0, 0.75), (1, 1.75)]},
    ),
    "a bar that is drawn once more at each step": (
        "".join(
            f"\rTraining: {e}%|█| {e}/3 [00:00<?, ?it/s{old}]\rTraining: {e}%|█| {e}/3 [00:00<?, ?it/s, loss={v}]"
            for e, old, v in ((0, "", 0.75), (1, ", loss=0.75", 0.5), (2, ", loss=0.5", 0.25))
        )
        + "\rTraining: 100%|█| 3/3 [00:00<?, ?it/s, loss=0.25]\n",
        {"train_loss": [(0, 0.75), (1, 0.5), (2, 0.25)]},
    ),
    "the only epoch of a training": (
        "".join(
            f"\rEpoch 0: {n * 25}%|█| {n}/4 [00:10<00:20,  1.2it/s, loss={3 - n / 4}, v_num=0, val_loss={2.5 if n < 3 else 2.25}]"
            for n in (1, 2, 3, 4)
        )
        + "\n",
        {"loss": [(1, 2.75), (2, 2.5), (3, 2.25), (4, 2)], "val_loss": [(1, 2.5), (3, 2.25)]},
    ),
    "the quickstart of PyTorch": (
        "".join(
            f"Epoch {e}\n-------------------------------\nloss: {2.5 / e:>7f}  [   64/60000]\nloss: {2.25 / e:>7f}  [ 6464/60000]\n"
            f"Test Error: \n Accuracy: {50 + e:>0.1f}%, Avg loss: {2.3 / e:>8f} \n\n"
            for e in (1, 2)
        ),
        {
            "loss": [(64, 2.5), (6464, 2.25), (60064, 1.25), (66464, 1.125)],
            "test_accuracy": [(6464, 51), (66464, 52)],
            "test_loss": [(6464, 2.3), (66464, 1.15)],
        },
    ),
    "a bar below the heading of its set": (
        "".join(
            f"2021-01-01 10:00:00,123 - INFO - allennlp.training.trainer - Epoch {e}/1\n"
            f"batch_loss: 0.3, loss: {0.7 - e / 10:.4f} ||: 100%|##########| 100/100 [00:10<00:00,  9.99it/s]\n"
            "2021-01-01 10:00:00,123 - INFO - allennlp.training.trainer - Validating\n"
            f"batch_loss: 0.4, loss: {0.8 - e / 10:.4f} ||: 100%|##########| 20/20 [00:01<00:00, 19.99it/s]\n"
            for e in (0, 1)
        ),
        {
            "batch_loss": [(0, 0.3), (1, 0.3)],
            "loss": [(0, 0.7), (1, 0.6)],
            "val_batch_loss": [(0, 0.4), (1, 0.4)],
            "val_loss": [(0, 0.8), (1, 0.7)],
        },
    ),
    "a search by scikit-learn": (
        "[CV 1/2] END .........C=0.1;, score=(train=0.939, test=0.919) total time=   0.1s\n[CV 2/2] END .........C=0.1;, score=(train=0.942, test=0.918) total time=   0.0s\n",
        {"train_score": [(0, 0.939), (1, 0.942)], "test_score": [(0, 0.919), (1, 0.918)]},
    ),
    "losses by their pipes": (
        "Epoch 1\nLosses {'ner': np.float32(12.5), 'tagger': 3.25}\nEpoch 2\nLosses {'ner': np.float32(10.5), 'tagger': 3.0}\n",
        {"ner_loss": [(1, 12.5), (2, 10.5)], "tagger_loss": [(1, 3.25), (2, 3)]},
    ),
    "the module that logged": (
        "".join(
            f"[INFO|2024-05-30 16:54:50] llamafactory.extras.callbacks:157 >> {{'loss': {v}, 'epoch': {e}}}\n"
            for e, v in ((1.0, 1.2), (2.0, 1.1))
        ),
        {"loss": [(1, 1.2), (2, 1.1)]},
    ),
    "the best in a line of its own": (
        "".join(
            f"[2023/05/01 10:00:00] ppocr INFO: epoch: [{e}/3], global_step: {e * 10}, loss: {5 - e}.500000\n"
            f"[2023/05/01 10:00:00] ppocr INFO: cur metric, acc: {now}, norm_edit_dis: 0.5\n"
            f"[2023/05/01 10:00:00] ppocr INFO: best metric, acc: {best}, norm_edit_dis: 0.6, best_epoch: 1\n"
            for e, now, best in ((1, 0.5, 0.5), (2, 0.4, 0.5), (3, 0.45, 0.5))
        ),
        {
            "loss": [(10, 4.5), (20, 3.5), (30, 2.5)],
            "acc": [(10, 0.5), (20, 0.4), (30, 0.45)],
            "norm_edit_dis": [(10, 0.5), (20, 0.5), (30, 0.5)],
        },
    ),
    "single precision of Julia": (
        "[ Info: epoch = 1 loss = 2.300f0\n[ Info: epoch = 2 loss = 2.5f-2\n",
        {"loss": [(1, 2.3), (2, 0.025)]},
    ),
    "rounds with a colon": (
        "[1]:  train's l2:1.5  test's l2:1.75 \n[2]:  train's l2:1.25  test's l2:1.5 \n",
        {"train_l2": [(1, 1.5), (2, 1.25)], "test_l2": [(1, 1.75), (2, 1.5)]},
    ),
    "lists, which are not points": (
        "epoch 1 loss 0.5 acc: [0.5, 0.75] lr: [1e-5, 2e-5]\nepoch 2 loss 0.25 acc: [0.5, 0.75] lr: [1e-5, 2e-5]\ntrain_losses = [0.5, 0.25]\n",
        {"loss": [(1, 0.5), (2, 0.25)], "lr": [(1, 1e-5), (2, 1e-5)]},
    ),
}

TOKENS = {
    "tokens alone": (
        "tokens: 65536 | loss: 9.5\ntokens: 131072 | loss: 9.25\n",
        {"loss": [(65536, 9.5), (131072, 9.25)]},
    ),
    "billions of tokens": (
        "[0.5B tokens] train loss 9.5\n[1.5B tokens] train loss 9.25\n",
        {"train_loss": [(500_000_000, 9.5), (1_500_000_000, 9.25)]},
    ),
    "tokens of a batch": (
        "samples 64 loss 9.5\nsamples 64 loss 9.25\nsamples 64 loss 9.0\n",
        {"loss": [(0, 9.5), (1, 9.25), (2, 9)]},
    ),
}

PROCESSES = {
    "srun, with their own losses": (
        "".join(f"{r}: step {s} loss {v + r / 8}\n" for s, v in ((10, 2.5), (20, 2.25)) for r in range(4)),
        {"loss": [(10, 2.5), (20, 2.25)]},
    ),
    "srun, by epoch": (
        "".join(
            f"{r:2d}: Epoch {e} train_loss {2.5 - e / 4 + r / 8} val_loss {3 - e / 4 + r / 8}\n"
            for e in (1, 2)
            for r in range(12)
        ),
        {"train_loss": [(1, 2.25), (2, 2)], "val_loss": [(1, 2.75), (2, 2.5)]},
    ),
    "batches before the epoch": (
        "".join(f"{b}: epoch {e} loss {3 - e - b / 1000}\n" for e in (0, 1) for b in (0, 100, 200)),
        {"loss": [(0, 3), (100, 2.9), (200, 2.8), (300, 2), (400, 1.9), (500, 1.8)]},
    ),
    "icefall": (
        "".join(
            f"2023-01-01 10:00:00,123 INFO [train.py:892] ({r}/2) Epoch {e}, batch {b}, loss[loss={2 - e / 4 - b / 400 + r / 8}, over 12345.00 frames. ], batch size: 30, lr: 4.5e-02\n"
            for e in (1, 2)
            for b in (0, 50)
            for r in (0, 1)
        ),
        {
            "loss": [(0, 1.75), (50, 1.625), (100, 1.5), (150, 1.375)],
            "lr": [(0, 0.045), (50, 0.045), (100, 0.045), (150, 0.045)],
        },
    ),
    "SageMaker": (
        "".join(f"[1,mpirank:{r},algo-1]<stdout>:step={s} loss={2.5 - s / 8 + r}\n" for s in (1, 2) for r in (0, 1)),
        {"loss": [(1, 2.375), (2, 2.25)]},
    ),
}

REAL = {**FRAMEWORKS, **TOKENS, **PROCESSES}
