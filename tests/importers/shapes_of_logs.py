# ruff: noqa: E501  # the lines are as wide as the programs print them
"""Made-up logs in shapes that programs print: by role, the points (place, value); None where there must be none.

The labels were written before the reader was tried on them.
"""

SHAPES = {
    "loguru": (
        "2024-05-01 12:00:00.123 | INFO     | __main__:train:42 - epoch 1 step 100 loss 0.512 lr 0.001\n"
        "2024-05-01 12:00:05.123 | INFO     | __main__:train:42 - epoch 1 step 200 loss 0.412 lr 0.001\n"
        "2024-05-01 12:00:06.123 | INFO     | __main__:evaluate:77 - epoch 1 val_loss 0.45 val_acc 0.81\n"
        "2024-05-01 12:00:07.123 | SUCCESS  | __main__:main:90 - saved best.pt\n",
        {"train": [(100, 0.512), (200, 0.412)], "val": [(200, 0.45)], "goal": [(200, 0.81)]},
    ),
    "structlog on a console": (
        "2024-05-01 12:00:00 [\x1b[32minfo     \x1b[0m] \x1b[1mtrain step                    \x1b[0m \x1b[36mepoch\x1b[0m=\x1b[35m1\x1b[0m \x1b[36mloss\x1b[0m=\x1b[35m0.5\x1b[0m \x1b[36mstep\x1b[0m=\x1b[35m100\x1b[0m\n"
        "2024-05-01 12:00:00 [\x1b[32minfo     \x1b[0m] \x1b[1mtrain step                    \x1b[0m \x1b[36mepoch\x1b[0m=\x1b[35m1\x1b[0m \x1b[36mloss\x1b[0m=\x1b[35m0.4\x1b[0m \x1b[36mstep\x1b[0m=\x1b[35m200\x1b[0m\n",
        {"train": [(100, 0.5), (200, 0.4)], "val": None},
    ),
    "structlog as JSON": (
        '{"event": "train", "level": "info", "step": 100, "loss": 0.5, "timestamp": "2024-05-01T12:00:00Z"}\n'
        '{"event": "eval", "level": "info", "step": 100, "val_loss": 0.6, "timestamp": "2024-05-01T12:00:01Z"}\n'
        '{"event": "train", "level": "info", "step": 200, "loss": 0.4, "timestamp": "2024-05-01T12:00:02Z"}\n'
        '{"event": "eval", "level": "info", "step": 200, "val_loss": 0.55, "timestamp": "2024-05-01T12:00:03Z"}\n',
        {"train": [(100, 0.5), (200, 0.4)], "val": [(100, 0.6), (200, 0.55)]},
    ),
    "lines of a container, as JSON": (
        '{"log":"Epoch 1/3 train loss 0.9 val loss 0.95\\n","stream":"stdout","time":"2024-05-01T12:00:00.1Z"}\n'
        '{"log":"Epoch 2/3 train loss 0.7 val loss 0.80\\n","stream":"stdout","time":"2024-05-01T12:01:00.1Z"}\n'
        '{"log":"saved\\n","stream":"stdout","time":"2024-05-01T12:01:01.1Z"}\n'
        '{"log":"Epoch 3/3 train loss 0.6 val loss 0.70\\n","stream":"stdout","time":"2024-05-01T12:02:00.1Z"}\n',
        {"train": [(1, 0.9), (2, 0.7), (3, 0.6)], "val": [(1, 0.95), (2, 0.8), (3, 0.7)]},
    ),
    "messages of a logger, as JSON": (
        '{"asctime": "2024-05-01 12:00:00", "levelname": "INFO", "message": "step 10: loss=2.5"}\n'
        '{"asctime": "2024-05-01 12:00:01", "levelname": "INFO", "message": "step 20: loss=2.25"}\n'
        '{"asctime": "2024-05-01 12:00:02", "levelname": "INFO", "message": "eval at step 20: val_loss=2.75"}\n',
        {"train": [(10, 2.5), (20, 2.25)], "val": [(20, 2.75)]},
    ),
    "absl": (
        "I0501 12:00:00.123456 140001234567 train.py:88] step 100, loss: 0.512, grads: 1.2\n"
        "I0501 12:00:09.123456 140001234567 train.py:88] step 200, loss: 0.412, grads: 1.1\n"
        "I0501 12:00:10.123456 140001234567 train.py:99] eval step 200, loss: 0.612\n",
        {"train": [(100, 0.512), (200, 0.412)], "val": [(200, 0.612)]},
    ),
    "estimators of TensorFlow": (
        "INFO:tensorflow:loss = 2.3025, step = 0\n"
        "INFO:tensorflow:global_step/sec: 100.5\n"
        "INFO:tensorflow:loss = 1.9, step = 100 (0.995 sec)\n"
        "INFO:tensorflow:Starting evaluation at 2024-05-01T12:00:00Z\n"
        "INFO:tensorflow:Evaluation [1/10]\n"
        "INFO:tensorflow:Finished evaluation at 2024-05-01-12:00:10\n"
        "INFO:tensorflow:Saving dict for global step 100: accuracy = 0.85, global_step = 100, loss = 1.75\n"
        "INFO:tensorflow:loss = 1.5, step = 200 (0.995 sec)\n",
        {"train": [(0, 2.3025), (100, 1.9), (200, 1.5)], "val": [(100, 1.75)], "goal": [(100, 0.85)]},
    ),
    "model garden": (
        "I0501 12:00:00.123456 140 controller.py:487] train | step:    100 | steps/sec:    5.1 | output: {'training_loss': 2.5, 'learning_rate': 0.1, 'task_acc': 0.2}\n"
        "I0501 12:00:01.123456 140 controller.py:303]  eval | step:    100 | running complete evaluation...\n"
        "I0501 12:00:09.123456 140 controller.py:310]  eval | step:    100 | eval time:   17.2 sec | output: {'validation_loss': 2.25, 'task_acc': 0.3}\n"
        "I0501 12:00:19.123456 140 controller.py:487] train | step:    200 | steps/sec:    5.1 | output: {'training_loss': 2.0, 'learning_rate': 0.1, 'task_acc': 0.4}\n",
        {"train": [(100, 2.5), (200, 2.0)], "val": [(100, 2.25)]},
    ),
    "object detection of TensorFlow": (
        "INFO:tensorflow:Step 100 per-step time 0.512s\n"
        "I0501 12:00:00.123456 140 model_lib_v2.py:708] {'Loss/classification_loss': 0.61,\n"
        " 'Loss/localization_loss': 0.41,\n"
        " 'Loss/regularization_loss': 0.15,\n"
        " 'Loss/total_loss': 1.17,\n"
        " 'learning_rate': 0.03}\n"
        "INFO:tensorflow:Step 200 per-step time 0.512s\n"
        "I0501 12:00:00.123456 140 model_lib_v2.py:708] {'Loss/classification_loss': 0.51,\n"
        " 'Loss/localization_loss': 0.31,\n"
        " 'Loss/regularization_loss': 0.15,\n"
        " 'Loss/total_loss': 0.97,\n"
        " 'learning_rate': 0.03}\n",
        {"train": [(100, 1.17), (200, 0.97)], "val": None},
    ),
    "accelerate without a trainer": (
        "05/01/2024 12:00:00 - INFO - __main__ - ***** Running training *****\n"
        "05/01/2024 12:00:00 - INFO - __main__ -   Num examples = 1000\n"
        "05/01/2024 12:00:00 - INFO - __main__ -   Num Epochs = 3\n"
        "05/01/2024 12:00:00 - INFO - __main__ -   Total optimization steps = 300\n"
        "\rSteps:  10%|█         | 30/300 [00:10<01:30, 3.0it/s, lr=1e-4, step_loss=0.5]\rSteps:  20%|██        | 60/300 [00:20<01:20, 3.0it/s, lr=1e-4, step_loss=0.25]\n"
        "05/01/2024 12:01:00 - INFO - __main__ - epoch 0: perplexity: 12.5 eval_loss: 2.5\n",
        {"train": [(30, 0.5), (60, 0.25)], "val": [(60, 2.5)]},
    ),
    "PaddleOCR": (
        "[2024/05/01 12:00:00] ppocr INFO: epoch: [1/500], global_step: 10, lr: 0.000010, loss: 5.5, avg_reader_cost: 0.2 s, avg_batch_cost: 0.5 s, avg_samples: 16.0, ips: 32.0 samples/s, eta: 1:00:00\n"
        "[2024/05/01 12:00:10] ppocr INFO: epoch: [1/500], global_step: 20, lr: 0.000020, loss: 4.5, avg_reader_cost: 0.2 s, avg_batch_cost: 0.5 s, avg_samples: 16.0, ips: 32.0 samples/s, eta: 1:00:00\n"
        "[2024/05/01 12:00:11] ppocr INFO: cur metric, precision: 0.6, recall: 0.45, hmean: 0.51, fps: 10.1\n"
        "[2024/05/01 12:00:11] ppocr INFO: best metric, hmean: 0.51, precision: 0.6, recall: 0.45, fps: 10.1, best_epoch: 1\n",
        {"train": [(10, 5.5), (20, 4.5)], "val": None},
    ),
    "PaddleClas": (
        "[2024/05/01 12:00:00] ppcls INFO: [Train][Epoch 1/120][Iter: 0/100]lr(PiecewiseDecay): 0.1, top1: 0.01, top5: 0.02, CELoss: 7.0, loss: 7.0, batch_cost: 1.2s, reader_cost: 0.5, ips: 53.1 samples/s, eta: 12:00:00\n"
        "[2024/05/01 12:00:00] ppcls INFO: [Train][Epoch 1/120][Iter: 50/100]lr(PiecewiseDecay): 0.1, top1: 0.02, top5: 0.03, CELoss: 6.5, loss: 6.5, batch_cost: 1.2s, reader_cost: 0.5, ips: 53.1 samples/s, eta: 12:00:00\n"
        "[2024/05/01 12:00:00] ppcls INFO: [Eval][Epoch 1][Avg]CELoss: 6.25, loss: 6.25, top1: 0.05, top5: 0.15\n"
        "[2024/05/01 12:00:00] ppcls INFO: [Eval][Epoch 1][best metric: 0.05]\n"
        "[2024/05/01 12:00:00] ppcls INFO: [Train][Epoch 2/120][Iter: 0/100]lr(PiecewiseDecay): 0.1, top1: 0.01, top5: 0.02, CELoss: 6.0, loss: 6.0, batch_cost: 1.2s, reader_cost: 0.5, ips: 53.1 samples/s, eta: 12:00:00\n",
        {"train": [(0, 7.0), (50, 6.5), (100, 6.0)], "val": [(50, 6.25)]},
    ),
    "MXNet": (
        "INFO:root:Epoch[0] Batch [20]\tSpeed: 1000.0 samples/sec\taccuracy=0.65\tcross-entropy=1.25\n"
        "INFO:root:Epoch[0] Batch [40]\tSpeed: 1000.0 samples/sec\taccuracy=0.70\tcross-entropy=1.00\n"
        "INFO:root:Epoch[0] Train-accuracy=0.75\n"
        "INFO:root:Epoch[0] Time cost=10.1\n"
        "INFO:root:Epoch[0] Validation-cross-entropy=1.1\n"
        "INFO:root:Epoch[0] Validation-accuracy=0.7\n"
        "INFO:root:Epoch[1] Batch [20]\tSpeed: 1000.0 samples/sec\taccuracy=0.85\tcross-entropy=0.75\n",
        {"train": [(20, 1.25), (40, 1.0), (60, 0.75)], "val": [(40, 1.1)], "goal": [(40, 0.7)]},
    ),
    "GluonCV": (
        "[Epoch 0] training: accuracy=0.5 loss=1.25\n"
        "[Epoch 0] speed: 1000 samples/sec\ttime cost: 10.1\n"
        "[Epoch 0] validation: accuracy=0.6 loss=1.1\n"
        "[Epoch 1] training: accuracy=0.7 loss=0.75\n"
        "[Epoch 1] validation: accuracy=0.65 loss=0.9\n",
        {"train": [(0, 1.25), (1, 0.75)], "val": [(0, 1.1), (1, 0.9)], "goal": [(0, 0.6), (1, 0.65)]},
    ),
    "darknet": (
        "Learning Rate: 0.001, Momentum: 0.9, Decay: 0.0005\n"
        " 1: 1234.5, 1234.5 avg loss, 0.000000 rate, 3.1 seconds, 64 images, 10.2 hours left\n"
        "Loaded: 0.000033 seconds\n"
        "Region 82 Avg IOU: 0.25, Class: 0.5, Obj: 0.5, No Obj: 0.5, .5R: 0.0, .75R: 0.0,  count: 5\n"
        " 2: 1200.5, 1231.0 avg loss, 0.000000 rate, 3.1 seconds, 128 images, 10.2 hours left\n",
        {"train": [(1, 1234.5), (2, 1231.0)], "val": None},
    ),
    "Marian": (
        "[2024-05-01 12:00:00] Ep. 1 : Up. 1000 : Sen. 64,000 : Cost 7.5 : Time 120.5s : 1000.12 words/s : gNorm 2.1 : L.r. 1.0e-04\n"
        "[2024-05-01 12:10:00] Ep. 1 : Up. 2000 : Sen. 128,000 : Cost 6.5 : Time 120.5s : 1000.12 words/s : gNorm 2.1 : L.r. 2.0e-04\n"
        "[2024-05-01 12:10:00] [valid] Ep. 1 : Up. 2000 : cross-entropy : 120.5 : new best\n"
        "[2024-05-01 12:10:00] [valid] Ep. 1 : Up. 2000 : bleu : 20.5 : stalled 1 times (last best: 21.1)\n",
        {"train": [(1000, 7.5), (2000, 6.5)], "val": [(2000, 120.5)], "goal": [(2000, 20.5)]},
    ),
    "OpenNMT": (
        "[2024-05-01 12:00:00,000 INFO] Step 50/100000; acc:   5.12; ppl: 12345.5; xent: 9.42; lr: 0.00001; sents: 5000; bsz: 3000/2900/60; 12000/11000 tok/s;     60 sec;\n"
        "[2024-05-01 12:01:00,000 INFO] Step 100/100000; acc:   6.12; ppl: 10345.5; xent: 9.22; lr: 0.00002; sents: 5000; bsz: 3000/2900/60; 12000/11000 tok/s;    120 sec;\n"
        "[2024-05-01 12:02:00,000 INFO] Validation perplexity: 9000.5\n"
        "[2024-05-01 12:02:00,000 INFO] Validation accuracy: 7.5\n",
        {"train": [(50, 12345.5), (100, 10345.5)], "val": [(100, 9000.5)], "goal": [(100, 7.5)]},
    ),
    "ESPnet": (
        "[host:0/4] 2024-05-01 12:00:00,000 (trainer:732) INFO: 1epoch:train:1-200batch: iter_time=0.1, forward_time=0.2, loss_ctc=120.1, loss_att=90.2, acc=0.31, loss=99.5, backward_time=0.1, optim0_lr0=1e-05, train_time=0.5\n"
        "[host:0/4] 2024-05-01 12:00:00,000 (trainer:732) INFO: 1epoch:train:201-400batch: iter_time=0.1, forward_time=0.2, loss_ctc=110.1, loss_att=80.2, acc=0.41, loss=89.5, backward_time=0.1, optim0_lr0=1e-05, train_time=0.5\n"
        "[host:0/4] 2024-05-01 12:00:00,000 (trainer:338) INFO: 1epoch results: [train] iter_time=0.1, loss_ctc=115, loss_att=85, acc=0.36, loss=94.5, time=10 minutes and 2.3 seconds, total_count=400, [valid] loss_ctc=70, loss_att=60, acc=0.5, cer_ctc=0.2, loss=63.5, time=20.1 seconds, total_count=10, [att_plot] time=2.1 seconds\n",
        {"train": [(200, 99.5), (400, 89.5), (400, 94.5)], "val": [(400, 63.5)], "goal": [(400, 0.5)]},
    ),
    "SpeechBrain": (
        "epoch: 1, lr: 1.00e-03 - train loss: 2.25 - valid loss: 2.0, valid PER: 45.5\n"
        "epoch: 2, lr: 1.00e-03 - train loss: 1.75 - valid loss: 1.5, valid PER: 35.5\n"
        "Epoch loaded: 2 - test loss: 1.6, test PER: 36.5\n",
        {"train": [(1, 2.25), (2, 1.75)], "val": [(1, 2.0), (2, 1.5)]},
    ),
    "DeepSpeed": (
        "[2024-05-01 12:00:00,123] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=0, lr=[1e-05, 1e-05], mom=[(0.9, 0.999), (0.9, 0.999)]\n"
        "[2024-05-01 12:00:00,124] [INFO] [timer.py:260:stop] epoch=0/micro_step=10/global_step=10, RunningAvgSamplesPerSec=62.5, CurrSamplesPerSec=62.1, MemAllocated=2.1GB, MaxMemAllocated=10.2GB\n"
        "steps: 10 loss: 2.125 iter time (s): 0.512 samples/sec: 62.5\n"
        "[2024-05-01 12:00:10,123] [INFO] [logging.py:96:log_dist] [Rank 0] step=20, skipped=0, lr=[2e-05, 2e-05], mom=[(0.9, 0.999), (0.9, 0.999)]\n"
        "steps: 20 loss: 1.875 iter time (s): 0.512 samples/sec: 62.5\n",
        {"train": [(10, 2.125), (20, 1.875)], "val": None},
    ),
    "Megatron Core": (
        " [2024-05-01 12:00:00] iteration       10/    1000 | consumed samples:         2560 | elapsed time per iteration (ms): 345.2 | throughput per GPU (TFLOP/s/GPU): 100.1 | learning rate: 1.5E-05 | global batch size:   256 | lm loss: 7.25E+00 | loss scale: 1.0 | grad norm: 1.234 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        " [2024-05-01 12:01:00] iteration       20/    1000 | consumed samples:         5120 | elapsed time per iteration (ms): 345.2 | throughput per GPU (TFLOP/s/GPU): 100.1 | learning rate: 3.0E-05 | global batch size:   256 | lm loss: 6.25E+00 | loss scale: 1.0 | grad norm: 1.134 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        "(min, max) time across ranks (ms):\n"
        "    evaluate .......................................: (345.21, 345.90)\n"
        "----------------------------------------------------------------------------------------\n"
        " validation loss at iteration 20 | lm loss value: 6.125E+00 | lm loss PPL: 4.5E+02 | \n",
        {"train": [(10, 7.25), (20, 6.25)], "val": [(20, 6.125)]},
    ),
    "torchtune": (
        "INFO:torchtune.utils._logging:Running FullFinetuneRecipe with resolved config:\n"
        "loss:\n"
        "  _component_: torch.nn.CrossEntropyLoss\n"
        "\r1|10|Loss: 1.625:   2%|▏         | 10/500 [00:10<08:00,  1.02it/s]\r1|20|Loss: 1.5:   4%|▍         | 20/500 [00:20<08:00,  1.02it/s]\n",
        {"train": [(10, 1.625), (20, 1.5)], "val": None},
    ),
    "torchtitan": (
        "[rank0]:[titan] 2024-05-01 12:00:00,123 - root - INFO - \x1b[31mstep:  1  \x1b[32mloss: 12.25  \x1b[34mgrad_norm:  1.5  \x1b[33mmemory: 25.3GiB(31.9%)  \x1b[34mtps: 1,043  \x1b[35mmfu: 6.1%\x1b[39m\n"
        "[rank0]:[titan] 2024-05-01 12:00:10,123 - root - INFO - \x1b[31mstep: 10  \x1b[32mloss: 10.75  \x1b[34mgrad_norm:  1.4  \x1b[33mmemory: 25.3GiB(31.9%)  \x1b[34mtps: 5,043  \x1b[35mmfu: 30.1%\x1b[39m\n",
        {"train": [(1, 12.25), (10, 10.75)], "val": None},
    ),
    "a trainer of Transformers 5": (
        "{'loss': '2.301', 'grad_norm': '1.2', 'learning_rate': '5e-05', 'epoch': '0.1'}\n"
        "{'eval_loss': '2.1', 'eval_runtime': '1.2', 'epoch': '0.1'}\n"
        "{'loss': '2.001', 'grad_norm': '1.1', 'learning_rate': '4e-05', 'epoch': '0.2'}\n"
        "{'eval_loss': '1.9', 'eval_runtime': '1.2', 'epoch': '0.2'}\n"
        "{'train_runtime': '12.3', 'train_samples_per_second': '10.1', 'train_loss': '0.5', 'epoch': '3'}\n",
        {"train": [(0.1, 2.301), (0.2, 2.001)], "val": [(0.1, 2.1), (0.2, 1.9)]},
    ),
    "rich bars of Lightning": (
        "Epoch 0/9  ━━━━━━━━━━━━━━━━━━━━ 469/469 0:00:10 • 0:00:00 45.10it/s v_num: 0.000 train_loss: 0.75 val_loss: 0.625\n"
        "Epoch 1/9  ━━━━━━━━━━━━━━━━━━━━ 469/469 0:00:10 • 0:00:00 45.10it/s v_num: 0.000 train_loss: 0.5 val_loss: 0.55\n",
        {"train": [(0, 0.75), (1, 0.5)], "val": [(0, 0.625), (1, 0.55)]},
    ),
    "a rich table": (
        "             Results              \n"
        "┏━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━┓\n"
        "┃ Epoch ┃ Train Loss ┃ Val Loss ┃\n"
        "┡━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━┩\n"
        "│ 1     │ 0.9        │ 0.95     │\n"
        "│ 2     │ 0.7        │ 0.75     │\n"
        "└───────┴────────────┴──────────┘\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.95), (2, 0.75)]},
    ),
    "Keras without bars": (
        "Epoch 1/2\n"
        "500/500 - 10s - 20ms/step - accuracy: 0.41 - loss: 1.75 - val_accuracy: 0.45 - val_loss: 1.5\n"
        "Epoch 2/2\n"
        "500/500 - 10s - 20ms/step - accuracy: 0.51 - loss: 1.25 - val_accuracy: 0.55 - val_loss: 1.25\n"
        "313/313 - 1s - 3ms/step - accuracy: 0.54 - loss: 1.3\n",
        {"train": [(1, 1.75), (2, 1.25)], "val": [(1, 1.5), (2, 1.25)], "goal": [(1, 0.45), (2, 0.55)]},
    ),
    "gradient boosting of scikit-learn": (
        "      Iter       Train Loss   Remaining Time \n"
        "         1           1.2613            1.10s\n"
        "         2           1.1715            1.05s\n"
        "        10           0.7001            0.90s\n",
        {"train": [(1, 1.2613), (2, 1.1715), (10, 0.7001)], "val": None},
    ),
    "perceptrons of scikit-learn": (
        "Iteration 1, loss = 2.30\nValidation score: 0.51\nIteration 2, loss = 2.1\nValidation score: 0.61\n"
        "Validation score did not improve more than tol=0.000100 for 10 consecutive epochs. Stopping.\n",
        {"train": [(1, 2.3), (2, 2.1)], "val": None, "goal": [(1, 0.51), (2, 0.61)]},
    ),
    "stochastic gradient descent of scikit-learn": (
        "-- Epoch 1\nNorm: 0.15, NNZs: 20, Bias: -0.1, T: 1000, Avg. loss: 0.51\nTotal training time: 0.01 seconds.\n"
        "-- Epoch 2\nNorm: 0.17, NNZs: 20, Bias: -0.1, T: 2000, Avg. loss: 0.41\nTotal training time: 0.02 seconds.\n"
        "Convergence after 2 epochs took 0.02 seconds\n",
        {"train": [(1, 0.51), (2, 0.41)], "val": None},
    ),
    "histogram boosting of scikit-learn": (
        "Binning 0.001 GB of training data: 0.010 s\nBinning 0.000 GB of validation data: 0.001 s\n"
        "Fitting gradient boosted rounds:\n"
        "[1/100] 1 tree, 31 leaves, max depth = 10, train loss: 0.52, val loss: 0.55, in 0.010s\n"
        "[2/100] 1 tree, 31 leaves, max depth = 9, train loss: 0.42, val loss: 0.50, in 0.010s\n",
        {"train": [(1, 0.52), (2, 0.42)], "val": [(1, 0.55), (2, 0.5)]},
    ),
    "spaCy": (
        "ℹ Pipeline: ['tok2vec', 'ner']\nℹ Initial learn rate: 0.001\n"
        "E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  ENTS_P  ENTS_R  SCORE \n"
        "---  ------  ------------  --------  ------  ------  ------  ------\n"
        "  0       0          0.00     45.12    1.10    0.90    1.20    0.01\n"
        "  0     200        120.12   1500.12   60.10   61.00   59.00    0.60\n"
        "  1     400         90.12   1000.12   70.10   71.00   69.00    0.70\n",
        {"val": None, "goal": [(0, 0.01), (200, 0.6), (400, 0.7)]},
    ),
    "fastText": (
        "Read 10M words\nNumber of words:  100000\nNumber of labels: 0\n"
        "\rProgress:   1.0% words/sec/thread:   10000 lr:  0.049500 avg.loss:  2.5 ETA:   0h 1m 0s"
        "\rProgress:  50.0% words/sec/thread:   10000 lr:  0.025000 avg.loss:  1.75 ETA:   0h 0m30s"
        "\rProgress: 100.0% words/sec/thread:   10000 lr:  0.000000 avg.loss:  1.5 ETA:   0h 0m 0s\n",
        {"train": [(0, 2.5), (1, 1.75), (2, 1.5)], "val": None},
    ),
    "gensim": (
        "2024-05-01 12:00:00,123 : INFO : EPOCH 0 - PROGRESS: at 50.12% examples, 500000 words/s, in_qsize 15, out_qsize 0\n"
        "Loss after epoch 0: 12345.5\n"
        "2024-05-01 12:00:10,123 : INFO : EPOCH 1 - PROGRESS: at 50.12% examples, 500000 words/s, in_qsize 15, out_qsize 0\n"
        "Loss after epoch 1: 11345.5\n",
        {"train": [(0, 12345.5), (1, 11345.5)], "val": None},
    ),
    "AllenNLP": (
        "2024-05-01 12:00:00 - INFO - allennlp.training.gradient_descent_trainer - Epoch 0/9\n"
        "\raccuracy: 0.51, batch_loss: 0.61, loss: 0.65 ||: 100%|##########| 100/100 [00:10<00:00,  9.5it/s]\n"
        "2024-05-01 12:00:10 - INFO - allennlp.training.callbacks.console_logger -                  Training |  Validation\n"
        "2024-05-01 12:00:10 - INFO - allennlp.training.callbacks.console_logger - accuracy      |     0.512  |     0.612\n"
        "2024-05-01 12:00:10 - INFO - allennlp.training.callbacks.console_logger - gpu_0_memory_MB |  1000.0  |       N/A\n"
        "2024-05-01 12:00:10 - INFO - allennlp.training.callbacks.console_logger - loss          |     0.650  |     0.550\n"
        "2024-05-01 12:00:10 - INFO - allennlp.training.gradient_descent_trainer - Epoch 1/9\n"
        "2024-05-01 12:00:20 - INFO - allennlp.training.callbacks.console_logger -                  Training |  Validation\n"
        "2024-05-01 12:00:20 - INFO - allennlp.training.callbacks.console_logger - accuracy      |     0.712  |     0.662\n"
        "2024-05-01 12:00:20 - INFO - allennlp.training.callbacks.console_logger - loss          |     0.450  |     0.500\n",
        {"val": [(0, 0.55), (1, 0.5)], "goal": [(0, 0.612), (1, 0.662)]},
    ),
    "llama2.c": (
        "tokens per iteration will be: 131,072\n"
        "step 0: train loss 10.25, val loss 10.375\n"
        "0 | loss 10.37 | lr 0.000000e+00 | 12345.6ms | mfu -100.00%\n"
        "1 | loss 10.27 | lr 5.000000e-07 | 345.6ms | mfu -100.00%\n"
        "step 2: train loss 10.0, val loss 10.125\n"
        "2 | loss 10.17 | lr 1.000000e-06 | 345.6ms | mfu -100.00%\n",
        {"val": [(0, 10.375), (2, 10.125)]},
    ),
    "llm.c": (
        "| batch size B          | 4                                                  |\n"
        "val loss 11.0\n"
        "step    1/18865 | loss 11.009 (+nanz)| norm 15.1 (+nanz)| lr 8.57e-07 | 3056.36 ms | 42.6% bf16 MFU | 171544 tok/s\n"
        "step    2/18865 | loss 10.959 (+nanz)| norm 14.1 (+nanz)| lr 1.71e-06 | 3056.36 ms | 42.6% bf16 MFU | 171544 tok/s\n"
        "val loss 10.5\n",
        {"train": [(1, 11.009), (2, 10.959)], "val": [(0, 11.0), (2, 10.5)]},
    ),
    "build-nanogpt": (
        "validation loss: 10.95\n"
        "step     0 | loss: 10.9 | lr 6.0000e-05 | norm: 15.2 | dt: 500.1ms | tok/sec: 1000.1\n"
        "step     1 | loss: 10.5 | lr 6.0000e-05 | norm: 14.2 | dt: 500.1ms | tok/sec: 1000.1\n"
        "validation loss: 10.45\n",
        {"train": [(0, 10.9), (1, 10.5)], "val": [(0, 10.95), (1, 10.45)]},
    ),
    "modded-nanogpt": (
        "step:0/1480 val_loss:10.8 train_time:0ms step_avg:nanms\n"
        "step:1/1480 train_time:90ms step_avg:90.1ms\n"
        "step:125/1480 val_loss:4.5 train_time:10000ms step_avg:80ms\n",
        {"train": None, "val": [(0, 10.8), (125, 4.5)]},
    ),
    "minGPT": (
        "running on device cuda\nnumber of parameters: 0.09M\n"
        "iter_dt 0.00ms; iter 0: train loss 1.06\n"
        "iter_dt 50.12ms; iter 100: train loss 0.25\n",
        {"train": [(0, 1.06), (100, 0.25)], "val": None},
    ),
    "ggml": (
        "train_opt_callback: iter=     1 sample=2/10 sched=0.010000 loss=9.125 dt=00:00:10 eta=01:00:00 |->\n"
        "train_opt_callback: iter=     2 sample=3/10 sched=0.020000 loss=8.875 dt=00:00:10 eta=01:00:00 |->\n",
        {"train": [(1, 9.125), (2, 8.875)], "val": None},
    ),
    "HRNet": (
        "Epoch: [0][0/200]\tTime 1.2s (1.2s)\tSpeed 26.6 samples/s\tData 0.3s (0.3s)\tLoss 0.00250 (0.00250)\tAccuracy 0.012 (0.012)\n"
        "Epoch: [0][100/200]\tTime 1.2s (1.2s)\tSpeed 26.6 samples/s\tData 0.3s (0.3s)\tLoss 0.00150 (0.00200)\tAccuracy 0.112 (0.062)\n"
        "Test: [0/50]\tTime 0.512 (0.512)\tLoss 0.1000 (0.1000)\tAccuracy 0.200 (0.200)\n"
        "Test: [49/50]\tTime 0.512 (0.512)\tLoss 0.0010 (0.0020)\tAccuracy 0.300 (0.250)\n"
        "| Arch | Head | Shoulder | Elbow | Wrist | Hip | Knee | Ankle | Mean | Mean@0.1 |\n"
        "Epoch: [1][0/200]\tTime 1.2s (1.2s)\tSpeed 26.6 samples/s\tData 0.3s (0.3s)\tLoss 0.00125 (0.00125)\tAccuracy 0.212 (0.212)\n"
        "Test: [0/50]\tTime 0.512 (0.512)\tLoss 0.1000 (0.1000)\tAccuracy 0.200 (0.200)\n"
        "Test: [49/50]\tTime 0.512 (0.512)\tLoss 0.0010 (0.0018)\tAccuracy 0.300 (0.350)\n",
        {"train": [(0, 0.0025), (100, 0.0015), (200, 0.00125)], "val": [(100, 0.002), (200, 0.0018)]},
    ),
    "a lone validation of HRNet's kind": (
        "Test: [0/500]\tTime 0.512 (0.512)\tLoss 0.1 (0.1)\tAccuracy 0.2 (0.2)\n"
        "Test: [100/500]\tTime 0.512 (0.512)\tLoss 0.1 (0.2)\tAccuracy 0.2 (0.3)\n"
        "Test: [499/500]\tTime 0.512 (0.512)\tLoss 0.1 (0.3)\tAccuracy 0.2 (0.4)\n",
        {"train": None, "val": [(0, 0.3)]},
    ),
    "MetricLogger": (
        "Epoch: [0]  [   0/1251]  eta: 0:20:51  lr: 0.000001  loss: 6.9 (6.9)  time: 1.0  data: 0.5  max mem: 5000\n"
        "Epoch: [0]  [1250/1251]  eta: 0:00:01  lr: 0.000001  loss: 6.5 (6.7)  time: 1.0  data: 0.5  max mem: 5000\n"
        "Epoch: [0] Total time: 0:20:51 (1.0 s / it)\n"
        "Averaged stats: lr: 0.000001  loss: 6.5 (6.7)\n"
        "Test:  [  0/196]  eta: 0:05:00  loss: 5.1 (5.1)  acc1: 10.1 (10.1)  acc5: 30.1 (30.1)  time: 1.5  data: 1.2  max mem: 5000\n"
        "Test:  [195/196]  eta: 0:00:01  loss: 5.0 (5.2)  acc1: 10.1 (11.1)  acc5: 30.1 (31.1)  time: 0.5  data: 0.2  max mem: 5000\n"
        "Test: Total time: 0:02:00 (0.6 s / it)\n"
        "* Acc@1 11.100 Acc@5 31.100 loss 5.200\n"
        "Accuracy of the network on the 50000 test images: 11.1%\n"
        "Max accuracy: 11.10%\n"
        "Epoch: [1]  [   0/1251]  eta: 0:20:51  lr: 0.000002  loss: 6.0 (6.0)  time: 1.0  data: 0.5  max mem: 5000\n",
        {"train": [(0, 6.9), (1250, 6.5), (1251, 6.0)], "val": [(1250, 5.2)]},
    ),
    "Flair": (
        "2024-05-01 12:00:00,123 epoch 1 - iter 10/100 - loss 2.25 - time (sec): 1.2 - samples/sec: 500.1 - lr: 0.100000\n"
        "2024-05-01 12:00:10,123 epoch 1 - iter 100/100 - loss 1.75 - time (sec): 1.2 - samples/sec: 500.1 - lr: 0.100000\n"
        "2024-05-01 12:00:10,124 ----------------------------------------------------------------------------------------------------\n"
        "2024-05-01 12:00:10,125 EPOCH 1 done: loss 1.5 - lr: 0.100000\n"
        "2024-05-01 12:00:12,123 DEV : loss 1.125 - f1-score (micro avg)  0.625\n"
        "2024-05-01 12:00:12,124 BAD EPOCHS (no improvement): 0\n"
        "2024-05-01 12:00:20,123 epoch 2 - iter 10/100 - loss 1.25 - time (sec): 1.2 - samples/sec: 500.1 - lr: 0.100000\n",
        {"train": [(10, 2.25), (100, 1.75), (100, 1.5), (110, 1.25)], "val": [(100, 1.125)], "goal": [(100, 0.625)]},
    ),
    "Rasa": (
        "\rEpochs:   0%|          | 0/3 [00:00<?, ?it/s]\rEpochs:  33%|███       | 1/3 [00:03<00:06, 3.0s/it, t_loss=2.5, i_acc=0.75]\rEpochs:  67%|██████    | 2/3 [00:06<00:03, 3.0s/it, t_loss=1.5, i_acc=0.85]\rEpochs: 100%|██████████| 3/3 [00:09<00:00, 3.0s/it, t_loss=1.25, i_acc=0.95]\n",
        {"train": [(1, 2.5), (2, 1.5), (3, 1.25)], "val": None},
    ),
    "PyTorch Geometric": (
        "Epoch: 001, Loss: 1.9, Train: 0.30, Val: 0.25, Test: 0.26\n"
        "Epoch: 002, Loss: 1.7, Train: 0.40, Val: 0.35, Test: 0.36\n",
        {"train": [(1, 1.9), (2, 1.7)], "val": None},
    ),
    "Flux of Julia": (
        "[ Info: Epoch 1: train_loss = 0.51 val_loss = 0.6\n[ Info: Epoch 2: train_loss = 0.41 val_loss = 0.5\n",
        {"train": [(1, 0.51), (2, 0.41)], "val": [(1, 0.6), (2, 0.5)]},
    ),
    "DL4J": (
        "12:00:00.123 [main] INFO  o.d.o.l.ScoreIterationListener - Score at iteration 0 is 2.5\n"
        "12:00:01.123 [main] INFO  o.d.o.l.ScoreIterationListener - Score at iteration 10 is 0.5\n",
        {"train": [(0, 2.5), (10, 0.5)], "val": None, "goal": None},
    ),
    "bars with captions": (
        "\rtrain: 100%|██████████| 100/100 [00:10<00:00, 9.9it/s, loss=0.5]\n"
        "\rval: 100%|██████████| 10/10 [00:01<00:00, 9.9it/s, loss=0.6]\n"
        "\rtrain: 100%|██████████| 100/100 [00:10<00:00, 9.9it/s, loss=0.4]\n"
        "\rval: 100%|██████████| 10/10 [00:01<00:00, 9.9it/s, loss=0.55]\n",
        {"train": [(100, 0.5), (200, 0.4)], "val": [(100, 0.6), (200, 0.55)]},
    ),
    "Ignite": (
        "Epoch[1] Iteration[100/200] Loss: 0.45\nEpoch[1] Iteration[200/200] Loss: 0.35\n"
        "Training Results - Epoch: 1 Avg accuracy: 0.95 Avg loss: 0.20\n"
        "Validation Results - Epoch: 1 Avg accuracy: 0.96 Avg loss: 0.15\n"
        "Epoch[2] Iteration[100/200] Loss: 0.25\n",
        {"val": [(200, 0.15)], "goal": [(200, 0.96)]},
    ),
    "scripts of Flax": (
        "Epoch... (1/3):   0%|          | 0/3 [00:00<?, ?it/s]\n"
        "Step... (100 | Loss: 2.5, Learning Rate: 0.0001)\n"
        "Step... (200 | Loss: 2.25, Learning Rate: 0.0001)\n"
        "Step... (200 | Eval Loss: 2.125 | Eval Perplexity: 8.1)\n",
        {"train": [(100, 2.5), (200, 2.25)], "val": [(200, 2.125)]},
    ),
    "MaxText": (
        "completed step: 10, seconds: 1.2, TFLOP/s/device: 100.1, Tokens/s/device: 5000.1, total_weights: 65536, loss: 9.125\n"
        "completed step: 20, seconds: 1.2, TFLOP/s/device: 100.1, Tokens/s/device: 5000.1, total_weights: 65536, loss: 8.125\n"
        "eval metrics after step: 20, loss=8.25, total_weights=655360.0\n",
        {"train": [(10, 9.125), (20, 8.125)], "val": [(20, 8.25)]},
    ),
    "Composer": (
        "[batch=10/100]:\n\t Train time/batch: 9\n\t Train loss/train/total: 2.25\n"
        "[batch=20/100]:\n\t Train time/batch: 19\n\t Train loss/train/total: 2.0\n"
        "[Eval batch=10/10] Eval on eval data:\n\t Eval metrics/eval/LanguageCrossEntropy: 2.125\n",
        {"train": [(10, 2.25), (20, 2.0)], "val": [(20, 2.125)]},
    ),
    "NeMo 2": (
        "Training epoch 0, iteration 0/99 | lr: 1e-04 | global_batch_size: 8 | global_step: 0 | reduced_train_loss: 9.5 | train_step_timing in s: 0.9\n"
        "Training epoch 0, iteration 10/99 | lr: 1e-04 | global_batch_size: 8 | global_step: 10 | reduced_train_loss: 9.0 | train_step_timing in s: 0.9 | consumed_samples: 88 | val_loss: 8.75\n",
        {"train": [(0, 9.5), (10, 9.0)], "val": [(10, 8.75)]},
    ),
    "CleanRL": (
        "global_step=1024, episodic_return=22.0\nSPS: 1000\nglobal_step=2048, episodic_return=25.0\n",
        {"train": None, "val": None, "goal": [(1024, 22.0), (2048, 25.0)]},
    ),
    "RSL-RL": (
        "################################################################################\n"
        "                       Learning iteration 0/1500                        \n\n"
        "                       Computation: 50000 steps/s (collection: 1.000s, learning 0.200s)\n"
        "               Value function loss: 0.0125\n                    Surrogate loss: -0.0012\n"
        "             Mean action noise std: 1.00\n                       Mean reward: 0.25\n"
        "               Mean episode length: 15.20\n"
        "--------------------------------------------------------------------------------\n"
        "                   Total timesteps: 98304\n                    Iteration time: 1.20s\n"
        "################################################################################\n"
        "                       Learning iteration 1/1500                        \n\n"
        "                       Computation: 50000 steps/s (collection: 1.000s, learning 0.200s)\n"
        "               Value function loss: 0.0115\n                    Surrogate loss: -0.0022\n"
        "                       Mean reward: 0.5\n",
        {"val": None, "goal": [(0, 0.25), (1, 0.5)]},
    ),
    "Spinning Up": (
        "---------------------------------------\n|             Epoch |               0 |\n|      AverageEpRet |            22.5 |\n"
        "|            LossPi |         -0.0125 |\n| TotalEnvInteracts |           4e+03 |\n---------------------------------------\n"
        "---------------------------------------\n|             Epoch |               1 |\n|      AverageEpRet |            32.5 |\n"
        "|            LossPi |         -0.0225 |\n| TotalEnvInteracts |           8e+03 |\n---------------------------------------\n",
        {"val": None, "goal": [(4000, 22.5), (8000, 32.5)]},
    ),
    "a notebook's table": (
        "Unsloth: Will smartly offload gradients to save VRAM!\n"
        "Step\tTraining Loss\tValidation Loss\n100\t1.50\t1.60\n200\t1.25\t1.40\n",
        {"train": [(100, 1.5), (200, 1.25)], "val": [(100, 1.6), (200, 1.4)]},
    ),
    "cross-validation of XGBoost": (
        "[0]\ttrain-rmse:0.90000+0.01000\ttest-rmse:0.95000+0.02000\n[1]\ttrain-rmse:0.50000+0.01000\ttest-rmse:0.60000+0.02000\n",
        {"train": [(0, 0.9), (1, 0.5)], "val": [(0, 0.95), (1, 0.6)]},
    ),
    "cross-validation of LightGBM": (
        "[10]\tcv_agg's valid l2: 0.5 + 0.01\n[20]\tcv_agg's valid l2: 0.4 + 0.01\n",
        {"train": None, "val": [(10, 0.5), (20, 0.4)]},
    ),
    "TabNet": (
        "epoch 0  | loss: 0.61  | val_0_auc: 0.81 |  0:00:01s\nepoch 1  | loss: 0.51  | val_0_auc: 0.83 |  0:00:02s\n"
        "Stop training because you reached max_epochs = 2 with best_epoch = 1 and best_val_0_auc = 0.83\n",
        {"train": [(0, 0.61), (1, 0.51)], "val": None, "goal": [(0, 0.81), (1, 0.83)]},
    ),
    "Coqui": (
        "\x1b[4m\x1b[1m > EPOCH: 0/1000\x1b[0m\n\x1b[1m > TRAINING (2024-05-01 12:00:00) \x1b[0m\n"
        "\x1b[1m   --> TIME: 2024-05-01 12:00:00 -- STEP: 0/406 -- GLOBAL_STEP: 0\x1b[0m\n"
        "     | > decoder_loss: 33.8  (33.8)\n     | > loss: 34.5  (34.5)\n     | > current_lr: 0.0001 \n"
        "\x1b[1m   --> TIME: 2024-05-01 12:01:00 -- STEP: 25/406 -- GLOBAL_STEP: 25\x1b[0m\n"
        "     | > decoder_loss: 13.8  (23.8)\n     | > loss: 14.5  (24.5)\n     | > current_lr: 0.0001 \n"
        "\x1b[1m > EVALUATION \x1b[0m\n\n\x1b[1m  --> EVAL PERFORMANCE\x1b[0m\n"
        "     | > avg_decoder_loss: 3.0 (+0.0)\n     | > avg_loss: 3.25 (+0.0)\n",
        {"train": [(0, 34.5), (25, 14.5)], "val": [(25, 3.25)]},
    ),
    "headings of the sets": (
        "Epoch 1\n=> Training\nloss: 0.9 acc: 0.5\n=> Validation\nloss: 0.8 acc: 0.6\n"
        "Epoch 2\n=> Training\nloss: 0.7 acc: 0.6\n=> Validation\nloss: 0.6 acc: 0.7\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)], "goal": [(1, 0.6), (2, 0.7)]},
    ),
    "headings with a colon": (
        "Epoch 1/2\nTrain:\n  loss 0.9\n  acc 0.5\nValid:\n  loss 0.8\n  acc 0.6\n"
        "Epoch 2/2\nTrain:\n  loss 0.7\n  acc 0.6\nValid:\n  loss 0.6\n  acc 0.7\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)], "goal": [(1, 0.6), (2, 0.7)]},
    ),
    "evaluate:dev": (
        "step 100 loss 0.9\nevaluate:dev\nloss 0.8, acc 0.5\nstep 200 loss 0.7\nevaluate:dev\nloss 0.75, acc 0.6\nstep 300 loss 0.6\n",
        {"train": [(100, 0.9), (200, 0.7), (300, 0.6)], "val": [(100, 0.8), (200, 0.75)]},
    ),
    "an evaluation below stars": (
        "step 100 loss 0.9\n***** Eval results *****\n  acc = 0.81\n  loss = 0.5\nstep 200 loss 0.7\n"
        "***** Eval results *****\n  acc = 0.85\n  loss = 0.45\n",
        {"train": [(100, 0.9), (200, 0.7)], "val": [(100, 0.5), (200, 0.45)], "goal": [(100, 0.81), (200, 0.85)]},
    ),
    "a bar of the validation, and its sum": (
        "Epoch 1 | loss: 0.9\n\rValidating: 100%|██████████| 10/10 [00:01<00:00, 9.9it/s]\nloss: 0.8, dice: 0.5\n"
        "Epoch 2 | loss: 0.7\n\rValidating: 100%|██████████| 10/10 [00:01<00:00, 9.9it/s]\nloss: 0.6, dice: 0.7\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)], "goal": [(1, 0.5), (2, 0.7)]},
    ),
    "a learning rate finder before the training": (
        "\rFinding best initial lr: 100%|██████████| 100/100 [00:10<00:00, 9.9it/s, loss=9.9]\nLearning rate set to 0.001\n"
        "\rLR find:  50%|█████     | 50/100 [00:10<00:00, 9.9it/s, loss=19.9]\n"
        "Epoch 1 train_loss 0.9 val_loss 0.95\nEpoch 2 train_loss 0.7 val_loss 0.8\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.95), (2, 0.8)]},
    ),
    "a traceback at the end": (
        "step 1 loss 0.9\nstep 2 loss 0.8\nTraceback (most recent call last):\n"
        '  File "train.py", line 45, in main\n    loss = 0.5 * criterion(out, y)\n'
        '  File "model.py", line 12, in forward\n    val_loss = 0.25\n           ~~~~~~^^^^\n'
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
        "/usr/lib/python3/site.py:12: UserWarning: loss is deprecated\n  loss: float = 0.5\n",
        {"train": [(1, 0.9), (2, 0.8)], "val": None},
    ),
    "a command and its arguments": (
        "+ python train.py loss=0.5 --val-loss 0.25\n$ torchrun --nproc 8 train.py train_loss=0.5\nargs: {'loss': 'mse', 'val_loss_patience': 5.0}\n"
        "step 1 loss 0.9\nstep 2 loss 0.8\n",
        {"train": [(1, 0.9), (2, 0.8)], "val": None},
    ),
    "tutorials of yunjey": (
        "Epoch [1/2], Step [100/600], Loss: 2.1 \nEpoch [1/2], Step [600/600], Loss: 1.5\nEpoch [2/2], Step [100/600], Loss: 1.25\n"
        "Accuracy of the network on the 10000 test images: 97.1 %\n",
        {"train": [(100, 2.1), (600, 1.5), (700, 1.25)], "val": None},
    ),
    "examples of aymericdamien": (
        "Step 1, Minibatch Loss= 2.75, Training Accuracy= 0.25\nStep 200, Minibatch Loss= 1.5, Training Accuracy= 0.71\n"
        "Optimization Finished!\nTesting Accuracy: 0.85\n",
        {"train": [(1, 2.75), (200, 1.5)], "val": None},
    ),
    "boxes of Turi": (
        "+-----------+--------------+-------------------+---------------------+\n"
        "| Iteration | Elapsed Time | Training Accuracy | Validation Accuracy |\n"
        "+-----------+--------------+-------------------+---------------------+\n"
        "| 1         | 0.012        | 0.81              | 0.75                |\n"
        "| 2         | 0.022        | 0.85              | 0.77                |\n",
        {"train": None, "val": None, "goal": [(1, 0.75), (2, 0.77)]},
    ),
    "GAN": (
        "[Epoch 0/200] [Batch 0/938] [D loss: 0.75] [G loss: 0.65]\n[Epoch 0/200] [Batch 100/938] [D loss: 0.55] [G loss: 0.75]\n"
        "[Epoch 1/200] [Batch 0/938] [D loss: 0.45] [G loss: 0.85]\n",
        {"train": [(0, 0.75), (100, 0.55), (938, 0.45)], "val": None},
    ),
    "CycleGAN": (
        "================ Training Loss (Wed May  1 12:00:00 2024) ================\n"
        "(epoch: 1, iters: 100, time: 0.512, data: 0.112) D_A: 0.25 G_A: 0.5 cycle_A: 1.5 idt_A: 0.75\n"
        "(epoch: 1, iters: 200, time: 0.512, data: 0.112) D_A: 0.2 G_A: 0.6 cycle_A: 1.25 idt_A: 0.5\n",
        {"val": None},
    ),
    "StyleGAN": (
        "tick 0     kimg 0.0      time 30s          sec/tick 5.1     sec/kimg 80.12   maintenance 24.9   cpumem 3.51   gpumem 10.1\n"
        '{"results": {"fid50k_full": 250.5}, "metric": "fid50k_full", "total_time": 100.1}\n'
        "tick 1     kimg 4.0      time 2m 30s       sec/tick 100.1   sec/kimg 25.12   maintenance 0.1    cpumem 3.51   gpumem 10.1\n",
        {"train": None, "val": None},
    ),
    "a sweep of Optuna": (
        "[I 2024-05-01 12:00:00,123] Trial 0 finished with value: 0.5 and parameters: {'lr': 0.01, 'loss_weight': 0.5}. Best is trial 0 with value: 0.5.\n"
        "step 1 loss 0.9\nstep 2 loss 0.8\n",
        {"train": [(1, 0.9), (2, 0.8)], "val": None},
    ),
    "a watchdog": (
        "step 1 loss 0.9\n[rank0]:[E ProcessGroupNCCL.cpp:475] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, Timeout(ms)=600000) ran for 600026 milliseconds before timing out.\n"
        "connection loss: 3.5 s, timeout 30.0\nstep 2 loss 0.8\n",
        {"train": [(1, 0.9), (2, 0.8)], "val": None},
    ),
    "CatBoost with a metric that rises": (
        "Learning rate set to 0.03\n0:\ttest: 0.90\tbest: 0.90 (0)\ttotal: 84.1ms\tremaining: 3.28s\n"
        "5:\ttest: 0.90\tbest: 0.90 (0)\ttotal: 94.1ms\tremaining: 2.28s\n"
        "10:\ttest: 0.89\tbest: 0.90 (0)\ttotal: 94.1ms\tremaining: 2.28s\n"
        "15:\ttest: 0.95\tbest: 0.95 (15)\ttotal: 94.1ms\tremaining: 1.28s\n\nbestTest = 0.95\nbestIteration = 15\n",
        {"train": None, "val": None, "goal": [(0, 0.9), (5, 0.9), (10, 0.89), (15, 0.95)]},
    ),
    "CatBoost with a metric that falls": (
        "0:\tlearn: 0.68\ttest: 0.60\tbest: 0.60 (0)\ttotal: 84.1ms\tremaining: 3.28s\n"
        "5:\tlearn: 0.58\ttest: 0.65\tbest: 0.60 (0)\ttotal: 94.1ms\tremaining: 2.28s\n"
        "10:\tlearn: 0.48\ttest: 0.55\tbest: 0.55 (10)\ttotal: 94.1ms\tremaining: 2.28s\n",
        {"train": [(0, 0.68), (5, 0.58), (10, 0.48)], "val": [(0, 0.6), (5, 0.65), (10, 0.55)]},
    ),
    "k-means of scikit-learn": (
        "Initialization complete\nIteration 0, inertia 3060.5.\nIteration 1, inertia 2758.5.\nConverged at iteration 1: strict convergence.\n",
        {"train": [(0, 3060.5), (1, 2758.5)], "val": None},
    ),
    "hydra": (
        "[2024-05-01 12:00:00,000][root][INFO] - Epoch 0: train/loss=0.9 val/loss=0.95\n"
        "[2024-05-01 12:00:00,000][root][INFO] - Epoch 1: train/loss=0.8 val/loss=0.85\n",
        {"train": [(0, 0.9), (1, 0.8)], "val": [(0, 0.95), (1, 0.85)]},
    ),
    "batches behind bars": (
        "Epoch 1/2 | Batch 10/100 | Loss 0.9 | lr 1e-3\n"
        "Epoch 1/2 | Batch 100/100 | Loss 0.8 | lr 1e-3\n"
        "Epoch 2/2 | Batch 10/100 | Loss 0.7 | lr 1e-3\n",
        {"train": [(10, 0.9), (100, 0.8), (110, 0.7)], "val": None},
    ),
    "averages and gaps": (
        "epoch=1, step=100, train_loss=0.5 (0.55), val_loss=n/a\n"
        "epoch=1, step=200, train_loss=0.4 (0.45), val_loss=0.6\n",
        {"train": [(100, 0.5), (200, 0.4)], "val": [(200, 0.6)]},
    ),
    "tr and va": (
        "ep   1 | tr 0.912 | va 0.934 | acc 0.51\nep   2 | tr 0.812 | va 0.834 | acc 0.61\n",
        {"train": [(1, 0.912), (2, 0.812)], "val": [(1, 0.934), (2, 0.834)], "goal": [(1, 0.51), (2, 0.61)]},
    ),
    "Train and Valid alone": (
        "Iter 100 Train 0.51 Valid 0.55\nIter 200 Train 0.41 Valid 0.45\n",
        {"train": [(100, 0.51), (200, 0.41)], "val": [(100, 0.55), (200, 0.45)]},
    ),
    "sets in brackets": (
        "[train] epoch 1: loss 0.9\n[valid] epoch 1: loss 0.8\n[train] epoch 2: loss 0.7\n[valid] epoch 2: loss 0.6\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "clu": (
        "I0501 12:00:00.000000 140 logging_writer.py:48] [100] accuracy=0.5, loss=0.9\n"
        "I0501 12:00:00.000000 140 logging_writer.py:48] [100] eval_accuracy=0.4, eval_loss=0.95\n"
        "I0501 12:00:00.000000 140 logging_writer.py:48] [200] accuracy=0.6, loss=0.8\n",
        {"train": [(100, 0.9), (200, 0.8)], "val": [(100, 0.95)]},
    ),
    "bars of epochs and sets": (
        "\rEpoch 0 [Train]: 100%|██████████| 10/10 [00:01<00:00, 9.9it/s, loss=0.9]\n"
        "\rEpoch 0 [Val]: 100%|██████████| 5/5 [00:01<00:00, 9.9it/s, loss=0.8]\n"
        "\rEpoch 1 [Train]: 100%|██████████| 10/10 [00:01<00:00, 9.9it/s, loss=0.7]\n"
        "\rEpoch 1 [Val]: 100%|██████████| 5/5 [00:01<00:00, 9.9it/s, loss=0.6]\n",
        {"train": [(0, 0.9), (1, 0.7)], "val": [(0, 0.8), (1, 0.6)]},
    ),
    "TF tutorial": (
        "Epoch 1 Batch 0 Loss 2.1\n"
        "Epoch 1 Batch 50 Loss 1.9\n"
        "Epoch 1 Loss 2.0\n"
        "Time taken for 1 epoch 30.1 sec\n"
        "\n"
        "Epoch 2 Batch 0 Loss 1.7\n",
        {"val": None},
    ),
    "best in brackets": (
        "Epoch 1: train_loss: 0.9 - val_loss: 0.8 (best: 0.8)\nEpoch 2: train_loss: 0.8 - val_loss: 0.85 (best: 0.8)\n",
        {"train": [(1, 0.9), (2, 0.8)], "val": [(1, 0.8), (2, 0.85)]},
    ),
    "rows with bars": (
        "| Epoch 1 | train_loss 0.9 | valid_loss 0.8 |\n| Epoch 2 | train_loss 0.7 | valid_loss 0.6 |\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "set behind the name": (
        "Epoch: 3\nLoss (train): 0.9, Loss (val): 0.8\nEpoch: 4\nLoss (train): 0.7, Loss (val): 0.6\n",
        {"train": [(3, 0.9), (4, 0.7)], "val": [(3, 0.8), (4, 0.6)]},
    ),
    "pygcn": (
        "Epoch: 0001 loss_train: 1.9 acc_train: 0.2 loss_val: 1.8 acc_val: 0.3 time: 0.1s\n"
        "Epoch: 0002 loss_train: 1.7 acc_train: 0.3 loss_val: 1.6 acc_val: 0.4 time: 0.1s\n"
        "Optimization Finished!\n"
        "Total time elapsed: 0.3s\n"
        "Test set results: loss= 1.65 accuracy= 0.45\n",
        {"train": [(1, 1.9), (2, 1.7)], "val": [(1, 1.8), (2, 1.6)], "goal": [(1, 0.3), (2, 0.4)]},
    ),
    "deviations": (
        "Epoch 1, train loss 0.9 ± 0.1, val loss 0.8 ± 0.1\nEpoch 2, train loss 0.7 +/- 0.1, val loss 0.6 +/- 0.1\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "thousands": (
        "Step 1,000/10,000: loss = 2.5\nStep 2,000/10,000: loss = 2.25\n",
        {"train": [(1000, 2.5), (2000, 2.25)]},
    ),
    "Udacity": (
        "Epoch: 1 \tTraining Loss: 1.0 \tValidation Loss: 0.8\n"
        "Validation loss decreased (inf --> 0.8).  Saving model ...\n"
        "Epoch: 2 \tTraining Loss: 0.9 \tValidation Loss: 0.7\n"
        "Validation loss decreased (0.800000 --> 0.700000).  Saving model ...\n",
        {"train": [(1, 1.0), (2, 0.9)], "val": [(1, 0.8), (2, 0.7)]},
    ),
    "Informer": (
        "\titers: 100, epoch: 1 | loss: 0.95\n"
        "\tspeed: 0.1s/iter; left time: 10.1s\n"
        "Epoch: 1 cost time: 10.1\n"
        "Epoch: 1, Steps: 100 | Train Loss: 0.9 Vali Loss: 0.8 Test Loss: 0.7\n"
        "Validation loss decreased (inf --> 0.800000).  Saving model ...\n"
        "EarlyStopping counter: 1 out of 7\n"
        "\titers: 100, epoch: 2 | loss: 0.85\n"
        "Epoch: 2, Steps: 100 | Train Loss: 0.8 Vali Loss: 0.75 Test Loss: 0.7\n",
        {"val": [(1, 0.8), (2, 0.75)]},
    ),
    "mmengine iters": (
        "2024/05/01 12:00:00 - mmengine - INFO - Iter(train) [  50/1000]  lr: 1e-3  eta: 0:10:00  time: 0.5  data_time: 0.1  memory: 100  loss: 0.9\n"
        "2024/05/01 12:00:00 - mmengine - INFO - Iter(val) [10/10]    aAcc: 80.5  mIoU: 50.5  mAcc: 60.5  data_time: 0.1  time: 0.2\n"
        "2024/05/01 12:00:00 - mmengine - INFO - Iter(train) [ 100/1000]  lr: 1e-3  eta: 0:10:00  time: 0.5  data_time: 0.1  memory: 100  loss: 0.8\n",
        {"train": [(50, 0.9), (100, 0.8)], "goal": [(50, 50.5)]},
    ),
    "LibFM": (
        "#Iter=  0\tTrain=0.61\tTest=0.62\n#Iter=  1\tTrain=0.51\tTest=0.55\n",
        {"train": [(0, 0.61), (1, 0.51)], "val": [(0, 0.62), (1, 0.55)]},
    ),
    "rounds": (
        "Round 10: loss=0.5, val_loss=0.6\nRound 20: loss=0.4, val_loss=0.5\n",
        {"train": [(10, 0.5), (20, 0.4)], "val": [(10, 0.6), (20, 0.5)]},
    ),
    "generations": (
        "Generation 5: best fitness = 0.9, mean fitness = 0.5\nGeneration 6: best fitness = 0.9, mean fitness = 0.6\n",
        {"train": None, "val": None, "goal": [(5, 0.5), (6, 0.6)]},
    ),
    "episodes": (
        "Episode 10 | Reward: 20.5 | Loss: 0.5 | Epsilon: 0.9\nEpisode 20 | Reward: 30.5 | Loss: 0.4 | Epsilon: 0.8\n",
        {"train": [(10, 0.5), (20, 0.4)], "goal": [(10, 20.5), (20, 30.5)]},
    ),
    "episodes and scores": (
        "Episode: 10/500, Score: 20, Epsilon: 0.99\nEpisode: 11/500, Score: 25, Epsilon: 0.98\n",
        {"train": None, "goal": [(10, 20.0), (11, 25.0)]},
    ),
    "timesteps": (
        "Timestep 1000 | Mean reward 20.5\nTimestep 2000 | Mean reward 30.5\n",
        {"goal": [(1000, 20.5), (2000, 30.5)]},
    ),
    "wandb's farewell": (
        "epoch 1 train/loss 0.5\n"
        "epoch 2 train/loss 0.25\n"
        "wandb: \n"
        "wandb: Run history:\n"
        "wandb:      epoch ▁█\n"
        "wandb: train/loss █▁\n"
        "wandb: \n"
        "wandb: Run summary:\n"
        "wandb:      epoch 2\n"
        "wandb: train/loss 0.25125\n"
        "wandb: \n"
        "wandb: View run at https://wandb.ai/x/y/runs/1\n",
        {"train": [(1, 0.5), (2, 0.25)], "val": None},
    ),
    "Lightning early stopping": (
        "Epoch 1: train_loss=0.9 val_loss=0.8\n"
        "Metric val_loss improved. New best score: 0.800\n"
        "Epoch 2: train_loss=0.8 val_loss=0.7\n"
        "Metric val_loss improved by 0.100 >= min_delta = 0.0. New best score: 0.700\n"
        "Monitored metric val_loss did not improve in the last 3 records. Best score: 0.700. Signaling Trainer to stop.\n",
        {"train": [(1, 0.9), (2, 0.8)], "val": [(1, 0.8), (2, 0.7)], "goal": None},
    ),
    "a sentence with the dev set": (
        "Epoch 1 done. avg loss: 0.9. Evaluating on dev set... dev loss: 0.8, dev F1: 0.5\n"
        "Epoch 2 done. avg loss: 0.7. Evaluating on dev set... dev loss: 0.6, dev F1: 0.6\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)], "goal": [(1, 0.5), (2, 0.6)]},
    ),
    "tests of a program": (
        "test_loss.py::test_value PASSED [ 10%]\nRan 5 tests in 0.5s\n",
        {"train": None, "val": None},
    ),
    "percent of an epoch": (
        "Epoch 1 (10.0%) loss: 0.9\nEpoch 1 (100.0%) loss: 0.8\nEpoch 2 (10.0%) loss: 0.7\n",
        {"val": None},
    ),
    "sets on lines of their own": (
        "Epoch 1\n"
        "  train | loss 0.9 | acc 0.5\n"
        "  val   | loss 0.8 | acc 0.6\n"
        "Epoch 2\n"
        "  train | loss 0.7 | acc 0.6\n"
        "  val   | loss 0.6 | acc 0.7\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)], "goal": [(1, 0.6), (2, 0.7)]},
    ),
    "phases": (
        "Phase: train, epoch: 1, loss: 0.9\n"
        "Phase: val, epoch: 1, loss: 0.8\n"
        "Phase: train, epoch: 2, loss: 0.7\n"
        "Phase: val, epoch: 2, loss: 0.6\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "key: value dumps of an epoch": (
        "epoch: 1\ntrain_loss: 0.9\nval_loss: 0.8\n\nepoch: 2\ntrain_loss: 0.7\nval_loss: 0.6\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "JAX arrays": (
        "step 100: loss Array(0.9, dtype=float32)\nstep 200: loss Array(0.8, dtype=float32)\n",
        {"train": [(100, 0.9), (200, 0.8)]},
    ),
    "torch tensors": (
        "epoch 1 loss tensor(0.9, device='cuda:0', grad_fn=<NllLossBackward0>)\n"
        "epoch 2 loss tensor(0.8, device='cuda:0', grad_fn=<NllLossBackward0>)\n",
        {"train": [(1, 0.9), (2, 0.8)]},
    ),
    "tuples of numpy": (
        "epoch 1 loss: np.float64(0.9) val_loss: np.float64(0.8)\n"
        "epoch 2 loss: np.float64(0.7) val_loss: np.float64(0.6)\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "docker compose prefixes": (
        "trainer-1  | epoch 1 train_loss 0.9 val_loss 0.8\ntrainer-1  | epoch 2 train_loss 0.7 val_loss 0.6\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "ray prefixes": (
        "(TorchTrainer pid=1234, ip=10.0.0.1) epoch 1 loss 0.9\n"
        "(TorchTrainer pid=1234, ip=10.0.0.1) epoch 2 loss 0.8\n",
        {"train": [(1, 0.9), (2, 0.8)], "val": None},
    ),
    "uppercase": (
        "EPOCH 1 TRAIN LOSS 0.9 VAL LOSS 0.8\nEPOCH 2 TRAIN LOSS 0.7 VAL LOSS 0.6\n",
        {"train": [(1, 0.9), (2, 0.7)], "val": [(1, 0.8), (2, 0.6)]},
    ),
    "logfmt": (
        'time=2024-05-01T12:00:00Z level=info msg="step done" step=100 loss=0.9 val_loss=0.8\n'
        'time=2024-05-01T12:01:00Z level=info msg="step done" step=200 loss=0.7 val_loss=0.6\n',
        {"train": [(100, 0.9), (200, 0.7)], "val": [(100, 0.8), (200, 0.6)]},
    ),
    "percent signs and units": (
        "Epoch 1: loss=0.9, acc=50.5%, time=12.5s, mem=3.5GB\nEpoch 2: loss=0.8, acc=60.5%, time=12.4s, mem=3.5GB\n",
        {"train": [(1, 0.9), (2, 0.8)], "goal": [(1, 50.5), (2, 60.5)]},
    ),
    "negative log-likelihood": (
        "Epoch 1: train NLL 1.5, test NLL 1.6\nEpoch 2: train NLL 1.4, test NLL 1.55\n",
        {"train": [(1, 1.5), (2, 1.4)], "val": [(1, 1.6), (2, 1.55)]},
    ),
    "a bar of the whole training, and epochs announced between its states": (
        "steps:   0%|          | 0/8 [00:00<?, ?it/s]\nepoch 1/2\n"
        "\rsteps:  12%|█▎        | 1/8 [00:01<00:07,  1.0it/s, avr_loss=0.9]"
        "\rsteps:  25%|██▌       | 2/8 [00:02<00:06,  1.0it/s, avr_loss=0.8]"
        "\rsteps:  50%|█████     | 4/8 [00:04<00:04,  1.0it/s, avr_loss=0.7]\nepoch 2/2\n"
        "\rsteps:  62%|██████▎   | 5/8 [00:05<00:03,  1.0it/s, avr_loss=0.6]"
        "\rsteps:  75%|███████▌  | 6/8 [00:06<00:02,  1.0it/s, avr_loss=0.5]"
        "\rsteps: 100%|██████████| 8/8 [00:08<00:00,  1.0it/s, avr_loss=0.4]\n",
        {"train": [(1, 0.9), (2, 0.8), (4, 0.7), (5, 0.6), (6, 0.5), (8, 0.4)]},
    ),
    "an evaluation between stars, which says what it measures": (
        "Epoch: 0, Step: 10, Rank: 0, loss = 2.5\nEpoch: 0, Step: 20, Rank: 0, loss = 2.25\n"
        "***** Evaluating perplexity, Epoch 1/2 *****\nppl: 9.5, loss: 2.2513\n"
        "Epoch: 1, Step: 30, Rank: 0, loss = 2.0\n"
        "***** Evaluating perplexity, Epoch 2/2 *****\nppl: 8.5, loss: 2.1401\n",
        {"train": [(10, 2.5), (20, 2.25), (30, 2.0)], "val": [(20, 2.2513), (30, 2.1401)]},
    ),
    "several validation sets with a number": (
        "2024-05-01 10:00:00 | INFO | train_inner | epoch 001:    100 / 500 loss=2.5, num_updates=100, lr=0.1\n"
        "2024-05-01 10:00:01 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 2.25 | num_updates 100 | best_loss 2.25\n"
        "2024-05-01 10:00:02 | INFO | valid1 | epoch 001 | valid on 'valid1' subset | loss 3.5 | num_updates 100 | best_loss 2.25\n"
        "2024-05-01 10:00:03 | INFO | train_inner | epoch 001:    200 / 500 loss=2.0, num_updates=200, lr=0.1\n"
        "2024-05-01 10:00:04 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 2.125 | num_updates 200 | best_loss 2.125\n"
        "2024-05-01 10:00:05 | INFO | valid1 | epoch 001 | valid on 'valid1' subset | loss 3.25 | num_updates 200 | best_loss 2.125\n",
        {"train": [(100, 2.5), (200, 2.0)], "val": [(100, 2.25), (200, 2.125)]},
    ),
}
