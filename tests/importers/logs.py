# ruff: noqa: E501  # the lines are as wide as the programs print them
"""Made-up logs in the shapes that trainings print, and what is in them: by series, (place, value)."""

LOGS = {
    "keras": (
        "Epoch 1/3\n"
        "\r  1/500 [....] - ETA: 3:20 - loss: 2.3000 - accuracy: 0.1000\r250/500 [====>...] - ETA: 0:05 - loss: 2.0000 - accuracy: 0.3000\r500/500 [=====] - 10s 20ms/step - loss: 1.9000 - accuracy: 0.4000 - val_loss: 1.8000 - val_accuracy: 0.4500\n"
        "Epoch 2/3\n"
        "\r500/500 [=====] - 10s 20ms/step - loss: 1.5000 - accuracy: 0.5000 - val_loss: 1.6000 - val_accuracy: 0.5500\n"
        "\n"
        "Epoch 00002: val_loss improved from 1.80000 to 1.60000, saving model to best.h5\n"
        "Epoch 3/3\n"
        "\r500/500 [=====] - 10s 20ms/step - loss: 1.2000 - accuracy: 0.6000 - val_loss: 1.5000 - val_accuracy: 0.6000\n",
        {
            "loss": [(1, 1.9), (2, 1.5), (3, 1.2)],
            "accuracy": [(1, 0.4), (2, 0.5), (3, 0.6)],
            "val_loss": [(1, 1.8), (2, 1.6), (3, 1.5)],
            "val_accuracy": [(1, 0.45), (2, 0.55), (3, 0.6)],
        },
    ),
    "keras3": (
        "Epoch 1/2\n"
        "\x1b[1m 1/63\x1b[0m \x1b[37m━━━━\x1b[0m \x1b[1m20s\x1b[0m 335ms/step - accuracy: 0.06 - loss: 2.4\x08\x08\x08\x08\r\x1b[1m63/63\x1b[0m \x1b[32m━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m1s\x1b[0m 6ms/step - accuracy: 0.3 - loss: 2.1\r\x1b[1m63/63\x1b[0m \x1b[32m━━━━\x1b[0m 1s 8ms/step - accuracy: 0.3 - loss: 2.1 - val_accuracy: 0.5 - val_loss: 1.9\n"
        "Epoch 2/2\n"
        "\x1b[1m63/63\x1b[0m \x1b[32m━━━━\x1b[0m 1s 8ms/step - accuracy: 0.5 - loss: 1.7 - val_accuracy: 0.6 - val_loss: 1.6\n",
        {
            "accuracy": [(1, 0.3), (2, 0.5)],
            "loss": [(1, 2.1), (2, 1.7)],
            "val_accuracy": [(1, 0.5), (2, 0.6)],
            "val_loss": [(1, 1.9), (2, 1.6)],
        },
    ),
    "keras_docker": (
        "Epoch 1/2\n"
        "  1/500 [....] - ETA: 3:20 - loss: 2.3000\n"
        "250/500 [====>...] - ETA: 0:05 - loss: 2.0000\n"
        "500/500 [=====] - 10s - loss: 1.9000\n"
        "500/500 [=====] - 12s 20ms/step - loss: 1.9000 - val_loss: 1.8000\n"
        "Epoch 2/2\n"
        "  1/500 [....] - ETA: 3:20 - loss: 1.5\n"
        "500/500 [=====] - 12s 20ms/step - loss: 1.4000 - val_loss: 1.5\n",
        {"loss": [(1, 1.9), (2, 1.4)], "val_loss": [(1, 1.8), (2, 1.5)]},
    ),
    "nanogpt": (
        "step 0: train loss 2.0, val loss 1.6\n"
        "iter 10: loss 2.0, time 20.1ms, mfu 10.0%\n"
        "step 100: train loss 1.77, val loss 1.46\n"
        "iter 110: loss 1.7, time 20.1ms, mfu 10.0%\n",
        {"train_loss": [(0, 2.0), (100, 1.77)], "val_loss": [(0, 1.6), (100, 1.46)], "loss": [(10, 2.0), (110, 1.7)]},
    ),
    "mnist": (
        "Train Epoch: 1 [0/1920 (0%)]\tLoss: 2.000000\n"
        "Train Epoch: 1 [640/1920 (33%)]\tLoss: 1.900000\n"
        "Train Epoch: 1 [1280/1920 (66%)]\tLoss: 1.800000\n"
        "\n"
        "Test set: Average loss: 1.5000, Accuracy: 9800/10000 (98%)\n"
        "\n"
        "Train Epoch: 2 [0/1920 (0%)]\tLoss: 1.700000\n"
        "Train Epoch: 2 [640/1920 (33%)]\tLoss: 1.600000\n"
        "Train Epoch: 2 [1280/1920 (66%)]\tLoss: 1.500000\n"
        "\n"
        "Test set: Average loss: 1.2000, Accuracy: 9900/10000 (99%)\n",
        {
            "train_loss": [(0, 2.0), (640, 1.9), (1280, 1.8), (1920, 1.7), (2560, 1.6), (3200, 1.5)],
            "test_loss": [(1280, 1.5), (3200, 1.2)],
            "test_accuracy": [(1280, 0.98), (3200, 0.99)],
        },
    ),
    "imagenet": (
        "Epoch: [0][0/300]\tTime  0.35 ( 0.40)\tData  0.01 ( 0.02)\tLoss 6.9000e+00 (7.0e+00)\tAcc@1   0.39 (  0.10)\tAcc@5   1.39 (  1.10)\n"
        "Epoch: [0][100/300]\tTime  0.35 ( 0.40)\tData  0.01 ( 0.02)\tLoss 6.5667e+00 (7.0e+00)\tAcc@1   0.39 (  0.10)\tAcc@5   1.39 (  1.10)\n"
        "Epoch: [0][200/300]\tTime  0.35 ( 0.40)\tData  0.01 ( 0.02)\tLoss 6.2333e+00 (7.0e+00)\tAcc@1   0.39 (  0.10)\tAcc@5   1.39 (  1.10)\n"
        "Test: [  0/196]\tTime  1.0 ( 1.0)\tLoss 6.0e+00 (6.0e+00)\tAcc@1   1.00 (  1.00)\n"
        "Test: [190/196]\tTime  1.0 ( 1.0)\tLoss 6.1e+00 (5.5e+00)\tAcc@1   1.00 (  2.00)\n"
        " *   Acc@1 2.100 Acc@5 5.300\n"
        "Epoch: [1][0/300]\tTime  0.35 ( 0.40)\tData  0.01 ( 0.02)\tLoss 5.9000e+00 (7.0e+00)\tAcc@1   0.39 (  0.10)\tAcc@5   1.39 (  1.10)\n"
        "Epoch: [1][100/300]\tTime  0.35 ( 0.40)\tData  0.01 ( 0.02)\tLoss 5.5667e+00 (7.0e+00)\tAcc@1   0.39 (  0.10)\tAcc@5   1.39 (  1.10)\n"
        "Epoch: [1][200/300]\tTime  0.35 ( 0.40)\tData  0.01 ( 0.02)\tLoss 5.2333e+00 (7.0e+00)\tAcc@1   0.39 (  0.10)\tAcc@5   1.39 (  1.10)\n"
        "Test: [  0/196]\tTime  1.0 ( 1.0)\tLoss 6.0e+00 (6.0e+00)\tAcc@1   1.00 (  1.00)\n"
        "Test: [190/196]\tTime  1.0 ( 1.0)\tLoss 6.1e+00 (5.5e+00)\tAcc@1   1.00 (  2.00)\n"
        " *   Acc@1 2.100 Acc@5 5.300\n",
        {
            "loss": [(0, 6.9), (100, 6.5667), (200, 6.2333), (300, 5.9), (400, 5.5667), (500, 5.2333)],
            "acc@1": [(0, 0.39), (100, 0.39), (200, 0.39), (300, 0.39), (400, 0.39), (500, 0.39)],
            "acc@5": [(0, 1.39), (100, 1.39), (200, 1.39), (300, 1.39), (400, 1.39), (500, 1.39)],
            "test_loss": [(200, 5.5), (500, 5.5)],
            "test_acc@1": [(200, 2.0), (200, 2.1), (500, 2.0), (500, 2.1)],
            "test_acc@5": [(200, 5.3), (500, 5.3)],
        },
    ),
    "pytorch_lm": (
        "| epoch   1 |   200/ 2983 batches | lr 20.00 | ms/batch  6.38 | loss  7.63 | ppl  2062.18\n"
        "| epoch   1 |   400/ 2983 batches | lr 20.00 | ms/batch  6.38 | loss  6.85 | ppl   943.87\n"
        "-----------------------------------------------------------------------------------------\n"
        "| end of epoch   1 | time: 97.97s | valid loss  5.86 | valid ppl   350.45\n"
        "-----------------------------------------------------------------------------------------\n"
        "| epoch   2 |   200/ 2983 batches | lr 20.00 | ms/batch  6.38 | loss  5.63 | ppl  262.18\n"
        "| end of epoch   2 | time: 97.97s | valid loss  5.46 | valid ppl   250.45\n"
        "=========================================================================================\n"
        "| End of training | test loss  5.30 | test ppl   200.45\n",
        {
            "lr": [(200, 20.0), (400, 20.0), (3183, 20.0)],
            "loss": [(200, 7.63), (400, 6.85), (3183, 5.63)],
            "ppl": [(200, 2062.18), (400, 943.87), (3183, 262.18)],
            "val_loss": [(400, 5.86), (3183, 5.46)],
            "val_ppl": [(400, 350.45), (3183, 250.45)],
            "test_loss": [(3183, 5.3)],
            "test_ppl": [(3183, 200.45)],
        },
    ),
    "hf": (
        "  1%|          | 10/1000 [00:05<08:00,  2.05it/s]\r                                                 \r{'loss': 2.3, 'grad_norm': 1.2, 'learning_rate': 5e-05, 'epoch': 0.1}\n"
        "{'loss': 2.0, 'grad_norm': 1.1, 'learning_rate': 4e-05, 'epoch': 0.2}\n"
        "{'eval_loss': 1.9, 'eval_runtime': 1.2, 'eval_samples_per_second': 100.1, 'epoch': 0.2}\n"
        "{'train_runtime': 12.3, 'train_samples_per_second': 10.1, 'train_loss': 0.5, 'epoch': 3.0}\n",
        {
            "loss": [(0.1, 2.3), (0.2, 2.0)],
            "grad_norm": [(0.1, 1.2), (0.2, 1.1)],
            "learning_rate": [(0.1, 5e-05), (0.2, 4e-05)],
            "eval_loss": [(0.2, 1.9)],
        },
    ),
    "megatron": (
        " iteration      100/  500000 | consumed samples:        25600 | elapsed time per iteration (ms): 345.2 | learning rate: 1.5E-05 | global batch size:   256 | lm loss: 7.3E+00 | loss scale: 1.0 | grad norm: 1.234 | number of skipped iterations:   0 |\n"
        " iteration      200/  500000 | learning rate: 3E-05 | lm loss: 6.3E+00 | grad norm: 1.1 |\n"
        " validation loss at iteration 200 | lm loss value: 6.1E+00 | lm loss PPL: 4.5E+02 |\n",
        {
            "learning_rate": [(100, 1.5e-05), (200, 3e-05)],
            "lm_loss": [(100, 7.3), (200, 6.3)],
            "loss_scale": [(100, 1.0)],
            "grad_norm": [(100, 1.234), (200, 1.1)],
            "number_of_skipped_iterations": [(100, 0.0)],
            "val_lm_loss_value": [(200, 6.1)],
            "val_lm_loss_ppl": [(200, 450.0)],
        },
    ),
    "fairseq": (
        "2020-01-01 12:00:00 | INFO | fairseq_cli.train | Namespace(arch='transformer', lr=[0.1], dropout=0.1, label_smoothing=0.1)\n"
        "2020-01-01 12:00:00 | INFO | train_inner | epoch 001:    100 / 1000 loss=9.1, nll_loss=8.6, ppl=390.2, wps=1000, ups=1.1, num_updates=100, lr=1e-05, gnorm=2.3, train_wall=90\n"
        "2020-01-01 12:05:00 | INFO | train_inner | epoch 001:    200 / 1000 loss=8.1, nll_loss=7.6, ppl=190.2, wps=1000, ups=1.1, num_updates=200, lr=1e-05, gnorm=2.3, train_wall=90\n"
        "2020-01-01 12:10:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 8.0 | nll_loss 7.5 | ppl 180.04 | wps 100 | num_updates 200\n"
        "2020-01-01 12:10:00 | INFO | train | epoch 001 | loss 8.6 | nll_loss 8.1 | ppl 250 | num_updates 200 | lr 1e-05\n",
        {
            "train_loss": [(100, 9.1), (200, 8.1), (200, 8.6)],
            "train_nll_loss": [(100, 8.6), (200, 7.6), (200, 8.1)],
            "train_ppl": [(100, 390.2), (200, 190.2), (200, 250.0)],
            "lr": [(100, 1e-05), (200, 1e-05)],
            "train_gnorm": [(100, 2.3), (200, 2.3)],
            "val_loss": [(200, 8.0)],
            "val_nll_loss": [(200, 7.5)],
            "val_ppl": [(200, 180.04)],
        },
    ),
    "lightning": (
        "\rEpoch 0:   0%|          | 0/469 [00:00<?, ?it/s]\rEpoch 0:  50%|█████     | 235/469 [00:05<00:05, 45.1it/s, v_num=0, train_loss=0.812]\rEpoch 0: 100%|██████████| 469/469 [00:10<00:00, 45.1it/s, v_num=0, train_loss=0.712, val_loss=0.65]\n"
        "\rEpoch 1: 100%|██████████| 469/469 [00:10<00:00, 45.1it/s, v_num=0, train_loss=0.512, val_loss=0.55]\n",
        {"train_loss": [(0, 0.712), (1, 0.512)], "val_loss": [(0, 0.65), (1, 0.55)]},
    ),
    "tqdm_one": (
        "\r  0%|          | 0/1000 [00:00<?, ?it/s]\r  1%|▏         | 10/1000 [00:05<08:00,  2.05it/s, loss=2.3]\r  2%|▏         | 20/1000 [00:05<08:00,  2.05it/s, loss=2.1]\x1b[A\r  3%|▏         | 30/1000 [00:05<08:00,  2.05it/s, loss=1.9]\n",
        {"loss": [(10, 2.3), (20, 2.1), (30, 1.9)]},
    ),
    "mmdet": (
        "2023-01-01 10:00:00,123 - mmdet - INFO - Epoch [1][50/100]\tlr: 2.000e-03, eta: 1 day, 10:00:00, time: 0.5, data_time: 0.1, memory: 3000, loss_cls: 1.2, loss_bbox: 0.5, loss: 1.7\n"
        "2023-01-01 10:00:10,123 - mmdet - INFO - Epoch [1][100/100]\tlr: 2.000e-03, eta: 10:00:00, time: 0.5, data_time: 0.1, memory: 3000, loss_cls: 1.0, loss_bbox: 0.5, loss: 1.5\n"
        "2023-01-01 10:00:20,123 - mmdet - INFO - Epoch(val) [1][500]\tbbox_mAP: 0.3640, bbox_mAP_50: 0.5000\n"
        "2023-01-01 10:00:30,123 - mmdet - INFO - Epoch [2][50/100]\tlr: 2.000e-03, loss_cls: 0.8, loss_bbox: 0.5, loss: 1.3\n",
        {
            "lr": [(50, 0.002), (100, 0.002), (150, 0.002)],
            "loss_cls": [(50, 1.2), (100, 1.0), (150, 0.8)],
            "loss_bbox": [(50, 0.5), (100, 0.5), (150, 0.5)],
            "loss": [(50, 1.7), (100, 1.5), (150, 1.3)],
            "val_bbox_map": [(100, 0.364)],
            "val_bbox_map_50": [(100, 0.5)],
        },
    ),
    "mmengine": (
        "2023/01/01 10:00:00 - mmengine - INFO - Epoch(train)  [1][ 50/100]  lr: 2.0e-03  eta: 10:00:00  time: 0.5  data_time: 0.1  memory: 3000  loss: 1.7  loss_cls: 1.2\n"
        "2023/01/01 10:00:10 - mmengine - INFO - Epoch(val) [1][100/100]    coco/bbox_mAP: 0.3640  coco/bbox_mAP_50: 0.5\n"
        "2023/01/01 10:00:20 - mmengine - INFO - Epoch(train)  [2][ 50/100]  lr: 2.0e-03  loss: 1.2  loss_cls: 0.9\n",
        {
            "lr": [(50, 0.002), (150, 0.002)],
            "train_loss": [(50, 1.7), (150, 1.2)],
            "train_loss_cls": [(50, 1.2), (150, 0.9)],
            "val_coco/bbox_map": [(50, 0.364)],
            "val_coco/bbox_map_50": [(50, 0.5)],
        },
    ),
    "yolov5": (
        "     Epoch   gpu_mem       box       obj       cls    labels  img_size\n"
        "\r     0/299     3.46G    0.1114   0.05   0.0267        46       640:  50%|████      | 4/8 [00:03]\r     0/299     3.46G    0.1014   0.04532   0.01767        46       640: 100%|██████████| 8/8 [00:07<00:00,  1.10it/s]\n"
        "               Class     Images     Labels          P          R     mAP@.5 mAP@.5:.95: 100%|██████████| 4/4 [00:02<00:00]\n"
        "                 all        128        929      0.577      0.414      0.46      0.279\n"
        "\n"
        "     Epoch   gpu_mem       box       obj       cls    labels  img_size\n"
        "     1/299     3.46G    0.0914   0.04032   0.01567        46       640: 100%|██████████| 8/8 [00:07<00:00,  1.10it/s]\n"
        "               Class     Images     Labels          P          R     mAP@.5 mAP@.5:.95: 100%|██████████| 4/4 [00:02<00:00]\n"
        "                 all        128        929      0.677      0.514      0.56      0.379\n",
        {
            "box_loss": [(0, 0.1014), (1, 0.0914)],
            "obj_loss": [(0, 0.04532), (1, 0.04032)],
            "cls_loss": [(0, 0.01767), (1, 0.01567)],
            "val_p": [(0, 0.577), (1, 0.677)],
            "val_r": [(0, 0.414), (1, 0.514)],
            "val_map@.5": [(0, 0.46), (1, 0.56)],
            "val_map@.5:.95": [(0, 0.279), (1, 0.379)],
        },
    ),
    "yolov7, standard output behind standard error": (
        "     Epoch   gpu_mem       box       obj       cls     total    labels  img_size\n"
        "  0%|          | 0/8 [00:00<?, ?it/s]\r     0/1     2.1G   0.07   0.03   0.01   0.11   168   640:  12%|#| 1/8 [00:03]\n"
        "     Epoch   gpu_mem       box       obj       cls     total    labels  img_size\n"
        "     0/1     2.1G   0.06   0.02   0.01   0.09   168   640: 100%|##| 8/8 [00:07<00:00,  1.10it/s]\n"
        "               Class      Images      Labels           P           R      mAP@.5  mAP@.5:.95: 100%|##| 7/7 [00:01]\n"
        "     Epoch   gpu_mem       box       obj       cls     total    labels  img_size\n"
        "                 all         195         882       0.493       0.445       0.423       0.143\n"
        "     1/1     2.1G   0.05   0.02   0.01   0.08   168   640: 100%|##| 8/8 [00:07<00:00,  1.10it/s]\n"
        "                 all         195         882       0.593       0.545       0.523       0.243\n",
        {
            "box_loss": [(0, 0.06), (1, 0.05)],
            "obj_loss": [(0, 0.02), (1, 0.02)],
            "cls_loss": [(0, 0.01), (1, 0.01)],
            "total_loss": [(0, 0.09), (1, 0.08)],
            "val_p": [(0, 0.493), (1, 0.593)],
            "val_r": [(0, 0.445), (1, 0.545)],
            "val_map@.5": [(0, 0.423), (1, 0.523)],
            "val_map@.5:.95": [(0, 0.143), (1, 0.243)],
        },
    ),
    "basicsr": (
        "23-05-05 23:17:59.738 - INFO: [epoch:  0, iter:     100, lr:(2.000e-04,)] l_pix: 5.9482e-02 \n"
        "23-05-05 23:18:06.567 - INFO: [epoch:  0, iter:  10,100, lr:(1.998e-04,)] l_pix: 2.9482e-02 \n",
        {"l_pix": [(100, 0.059482), (10100, 0.029482)], "lr": [(100, 0.0002), (10100, 0.0001998)]},
    ),
    "told again in another language": (
        "Epoch 1/100 - Train Loss: 4.0520, Val Loss: 3.2508\n"
        "  保存最佳模型 (val_loss=3.2508)\n"
        "Epoch 2/100 - Train Loss: 3.1246, Val Loss: 2.8442\n"
        "  保存最佳模型 (val_loss=2.8442)\n",
        {"train_loss": [(1, 4.052), (2, 3.1246)], "val_loss": [(1, 3.2508), (2, 2.8442)]},
    ),
    "a tree of settings": ("  |-   |-   |- val\t2.0\nstep 1 loss 0.5\n", {"loss": [(1, 0.5)]}),
    "ultralytics": (
        "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
        "        1/3      2.16G      1.18       1.5      1.2        13        640: 100%|██████████| 8/8 [00:07<00:00,  1.10it/s]\n"
        "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██████████| 4/4 [00:02<00:00]\n"
        "                   all        128        929      0.64      0.537      0.605      0.446\n"
        "\n"
        "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
        "        2/3      2.16G      1.08       1.3      1.1        13        640: 100%|██████████| 8/8 [00:07<00:00,  1.10it/s]\n"
        "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██████████| 4/4 [00:02<00:00]\n"
        "                   all        128        929      0.74      0.637      0.705      0.546\n",
        {
            "box_loss": [(1, 1.18), (2, 1.08)],
            "cls_loss": [(1, 1.5), (2, 1.3)],
            "dfl_loss": [(1, 1.2), (2, 1.1)],
            "val_p": [(1, 0.64), (2, 0.74)],
            "val_r": [(1, 0.537), (2, 0.637)],
            "val_map50": [(1, 0.605), (2, 0.705)],
            "val_map50-95": [(1, 0.446), (2, 0.546)],
        },
    ),
    "detectron2": (
        "[01/01 10:00:00 d2.utils.events]:  eta: 0:10:00  iter: 19  total_loss: 3.2  loss_cls: 1.1  loss_box_reg: 0.1  time: 0.5  data_time: 0.01  lr: 0.0002  max_mem: 2000M\n"
        "[01/01 10:00:10 d2.utils.events]:  eta: 0:09:00  iter: 39  total_loss: 2.2  loss_cls: 0.9  loss_box_reg: 0.1  time: 0.5  data_time: 0.01  lr: 0.0004  max_mem: 2000M\n",
        {
            "total_loss": [(19, 3.2), (39, 2.2)],
            "loss_cls": [(19, 1.1), (39, 0.9)],
            "loss_box_reg": [(19, 0.1), (39, 0.1)],
            "lr": [(19, 0.0002), (39, 0.0004)],
        },
    ),
    "timm": (
        "Train: 0 [   0/1251 (  0%)]  Loss: 6.95 (6.95)  Time: 0.3s, 800.1/s  (0.4s,  700/s)  LR: 1.000e-05  Data: 0.01 (0.02)\n"
        "Train: 0 [  50/1251 (  4%)]  Loss: 6.85 (6.90)  Time: 0.3s, 800.1/s  (0.4s,  700/s)  LR: 1.000e-05  Data: 0.01 (0.02)\n"
        "Test: [   0/48]  Time: 0.1 (0.2)  Loss:  3.1 (3.1)  Acc@1: 40.2 (40.2)  Acc@5: 60.1 (61.0)\n"
        "Test: [  48/48]  Time: 0.1 (0.2)  Loss:  3.0 (3.2)  Acc@1: 40.2 (41.1)  Acc@5: 60.1 (61.0)\n"
        "Current checkpoints:\n"
        " ('./output/checkpoint-0.pth.tar', 41.1)\n"
        "Train: 1 [   0/1251 (  0%)]  Loss: 5.95 (5.95)  Time: 0.3s, 800.1/s  (0.4s,  700/s)  LR: 1.000e-05  Data: 0.01 (0.02)\n"
        "*** Best metric: 41.1 (epoch 0)\n",
        {
            "train_loss": [(0, 6.95), (50, 6.85), (1251, 5.95)],
            "lr": [(0, 1e-05), (50, 1e-05), (1251, 1e-05)],
            "test_loss": [(50, 3.2)],
            "test_acc@1": [(50, 41.1)],
            "test_acc@5": [(50, 61.0)],
        },
    ),
    "kaldi": (
        "LOG (nnet3-train[5.5]:UpdateParamsWithMaxChange():nnet-utils.cc:2190) Per-component max-change active on 0 / 20\n"
        "LOG (nnet3-train[5.5]:PrintStatsForThisPhase():nnet-training.cc:319) Average objective function for 'output' for minibatches 0-99 is -2.3 over 12800 frames.\n"
        "LOG (nnet3-train[5.5]:PrintStatsForThisPhase():nnet-training.cc:319) Average objective function for 'output' for minibatches 100-199 is -2.1 over 12800 frames.\n"
        "LOG (nnet3-train[5.5]:PrintTotalStats():nnet-training.cc:349) Overall average objective function for 'output' is -2.2 over 25600 frames.\n",
        {"objective_function": [(100, -2.3), (200, -2.1)]},
    ),
    "xgboost": (
        "[10:00:00] WARNING: parameters are not used\n"
        "[0]\ttrain-rmse:0.9\teval-rmse:0.95\n"
        "[1]\ttrain-rmse:0.5\teval-rmse:0.6\n",
        {"train-rmse": [(0, 0.9), (1, 0.5)], "eval-rmse": [(0, 0.95), (1, 0.6)]},
    ),
    "lightgbm": (
        "[LightGBM] [Info] Total Bins 2550\n"
        "[LightGBM] [Info] Start training from score 0.5\n"
        "Training until validation scores don't improve for 10 rounds\n"
        "[10]\ttraining's binary_logloss: 0.5\tvalid_1's binary_logloss: 0.6\n"
        "[20]\ttraining's binary_logloss: 0.4\tvalid_1's binary_logloss: 0.5\n"
        "Early stopping, best iteration is:\n"
        "[15]\ttraining's binary_logloss: 0.45\tvalid_1's binary_logloss: 0.49\n",
        {"train_binary_logloss": [(10, 0.5), (20, 0.4)], "valid_1_binary_logloss": [(10, 0.6), (20, 0.5)]},
    ),
    "catboost": (
        "0:\tlearn: 0.6000\ttest: 0.6100\tbest: 0.61 (0)\ttotal: 50ms\tremaining: 50s\n"
        "1:\tlearn: 0.5000\ttest: 0.5100\tbest: 0.51 (1)\ttotal: 50ms\tremaining: 50s\n",
        {"train_loss": [(0, 0.6), (1, 0.5)], "test_loss": [(0, 0.61), (1, 0.51)]},
    ),
    "sb3": (
        "---------------------------------\n"
        "| rollout/           |          |\n"
        "|    ep_len_mean     | 22.4     |\n"
        "|    ep_rew_mean     | 22.4     |\n"
        "| time/              |          |\n"
        "|    fps             | 1000     |\n"
        "|    total_timesteps | 2048     |\n"
        "---------------------------------\n"
        "-----------------------------------------\n"
        "| rollout/                |             |\n"
        "|    ep_len_mean          | 27.1        |\n"
        "|    ep_rew_mean          | 27.1        |\n"
        "| time/                   |             |\n"
        "|    iterations           | 2           |\n"
        "|    total_timesteps      | 4096        |\n"
        "| train/                  |             |\n"
        "|    approx_kl            | 0.008       |\n"
        "|    loss                 | 6.1         |\n"
        "-----------------------------------------\n",
        {
            "rollout/ep_len_mean": [(2048, 22.4), (4096, 27.1)],
            "rollout/ep_rew_mean": [(2048, 22.4), (4096, 27.1)],
            "train/approx_kl": [(4096, 0.008)],
            "train/loss": [(4096, 6.1)],
        },
    ),
    "fastai": (
        "epoch     train_loss  valid_loss  accuracy  time    \n"
        "0         0.9         0.8         0.70      00:10     \n"
        "1         0.7         0.75        0.75      00:10     \n",
        {"train_loss": [(0, 0.9), (1, 0.7)], "valid_loss": [(0, 0.8), (1, 0.75)], "accuracy": [(0, 0.7), (1, 0.75)]},
    ),
    "skorch": (
        "  epoch    train_loss    valid_acc    valid_loss     dur\n"
        "-------  ------------  -----------  ------------  ------\n"
        "      1        0.6868       0.5000        0.6830  0.0500\n"
        "      2        0.6706       0.6200        0.6728  0.0400\n",
        {
            "train_loss": [(1, 0.6868), (2, 0.6706)],
            "valid_acc": [(1, 0.5), (2, 0.62)],
            "valid_loss": [(1, 0.683), (2, 0.6728)],
        },
    ),
    "markdown": (
        "| Epoch | Train Loss | Val Loss |\n|---|---|---|\n| 1 | 0.9 | 0.95 |\n| 2 | 0.7 | 0.75 |\n",
        {"train_loss": [(1, 0.9), (2, 0.7)], "val_loss": [(1, 0.95), (2, 0.75)]},
    ),
    "tutorial": (
        "Epoch: 01 | Epoch Time: 0m 30s\n"
        "\tTrain Loss: 0.612 | Train Acc: 70.51%\n"
        "\t Val. Loss: 0.512 |  Val. Acc: 72.51%\n"
        "Epoch: 02 | Epoch Time: 0m 30s\n"
        "\tTrain Loss: 0.512 | Train Acc: 80.51%\n"
        "\t Val. Loss: 0.412 |  Val. Acc: 82.51%\n",
        {
            "train_loss": [(1, 0.612), (2, 0.512)],
            "train_acc": [(1, 70.51), (2, 80.51)],
            "val_loss": [(1, 0.512), (2, 0.412)],
            "val_acc": [(1, 72.51), (2, 82.51)],
        },
    ),
    "transfer": (
        "Epoch 0/24\n"
        "----------\n"
        "train Loss: 0.6 Acc: 0.7\n"
        "val Loss: 0.5 Acc: 0.8\n"
        "\n"
        "Epoch 1/24\n"
        "----------\n"
        "train Loss: 0.5 Acc: 0.75\n"
        "val Loss: 0.45 Acc: 0.85\n"
        "\n"
        "Training complete in 1m 7s\n"
        "Best val Acc: 0.85\n",
        {
            "train_loss": [(0, 0.6), (1, 0.5)],
            "train_acc": [(0, 0.7), (1, 0.75)],
            "val_loss": [(0, 0.5), (1, 0.45)],
            "val_acc": [(0, 0.8), (1, 0.85)],
        },
    ),
    "cifar": (
        "[1,  2000] loss: 2.2\n"
        "[1,  4000] loss: 1.9\n"
        "[2,  2000] loss: 1.5\n"
        "[2,  4000] loss: 1.4\n"
        "Finished Training\n"
        "Accuracy of the network on the 10000 test images: 54 %\n",
        {"loss": [(2000, 2.2), (4000, 1.9), (6000, 1.5), (8000, 1.4)]},
    ),
    "epoch_step": (
        "Epoch:  0 step:  0 loss: 11.70\n"
        "Epoch:  0 step:  1 loss: 11.60\n"
        "Epoch:  0 step:  2 loss: 11.50\n"
        "Epoch:  1 step:  0 loss: 10.70\n"
        "Epoch:  1 step:  1 loss: 10.60\n"
        "Epoch:  1 step:  2 loss: 10.50\n",
        {"loss": [(0, 11.7), (1, 11.6), (2, 11.5), (3, 10.7), (4, 10.6), (5, 10.5)]},
    ),
    "caffe": (
        "I0301 10:00:00.123456 1234 solver.cpp:228] Iteration 100, loss = 0.5\n"
        "I0301 10:00:00.123456 1234 solver.cpp:244]     Train net output #0: loss = 0.5 (* 1 = 0.5 loss)\n"
        "I0301 10:00:00.123456 1234 sgd_solver.cpp:106] Iteration 100, lr = 0.01\n"
        "I0301 10:00:00.123456 1234 solver.cpp:337] Iteration 500, Testing net (#0)\n"
        "I0301 10:00:00.123456 1234 solver.cpp:404]     Test net output #0: accuracy = 0.9\n"
        "I0301 10:00:00.123456 1234 solver.cpp:404]     Test net output #1: loss = 0.4 (* 1 = 0.4 loss)\n",
        {"loss": [(100, 0.5)], "train_loss": [(100, 0.5)], "test_accuracy": [(100, 0.9)], "test_loss": [(100, 0.4)]},
    ),
    "plain": (
        "starting\nloss: 0.9\nloss: 0.8\nval loss: 0.85\nloss: 0.7\n",
        {"loss": [(0, 0.9), (1, 0.8), (2, 0.7)], "val_loss": [(1, 0.85)]},
    ),
    "restart": (
        "step 1 loss 3.0\nstep 2 loss 2.0\nstep 3 loss 1.0\nstep 1 loss 3.1\nstep 2 loss 2.1\n",
        {"loss": [(1, 3.0), (2, 2.0), (3, 1.0), (1, 3.1), (2, 2.1)]},
    ),
    "dcgan": (
        "[0/5][0/1583]\tLoss_D: 1.7410\tLoss_G: 5.1\tD(x): 0.5\tD(G(z)): 0.6 / 0.01\n"
        "[0/5][50/1583]\tLoss_D: 0.3\tLoss_G: 20.1\tD(x): 0.9\tD(G(z)): 0.0 / 0.0\n",
        {"loss_d": [(0, 1.741), (50, 0.3)], "loss_g": [(0, 5.1), (50, 20.1)], "d": [(0, 0.5), (50, 0.9)]},
    ),
    "camel": (
        "Epoch: 1, TrainLoss: 673.5, ValLoss: 184.2, LR: 0.0002\n"
        "Epoch: 2, TrainLoss: 258.9, ValLoss: 165.9, LR: 0.0002\n",
        {
            "train_loss": [(1, 673.5), (2, 258.9)],
            "val_loss": [(1, 184.2), (2, 165.9)],
            "lr": [(1, 0.0002), (2, 0.0002)],
        },
    ),
    "tf_estimator": (
        "INFO:tensorflow:loss = 1.02, step = 0\n"
        "INFO:tensorflow:global_step/sec: 10.5\n"
        "INFO:tensorflow:loss = 0.51, step = 100 (9.5 sec)\n"
        "INFO:tensorflow:Saving dict for global step 100: global_step = 100, loss = 0.72\n",
        {"loss": [(0, 1.02), (100, 0.51), (100, 0.72)]},
    ),
    "hrnet": (
        "Epoch: [352/520] Iter:[0/495], Time: 5.02, lr: [0.018], Loss: 1.59, Acc:0.64\n"
        "Epoch: [352/520] Iter:[10/495], Time: 1.02, lr: [0.018], Loss: 1.54, Acc:0.77\n"
        "Epoch: [353/520] Iter:[0/495], Time: 1.02, lr: [0.018], Loss: 1.44, Acc:0.78\n",
        {
            "lr": [(0, 0.018), (10, 0.018), (495, 0.018)],
            "loss": [(0, 1.59), (10, 1.54), (495, 1.44)],
            "acc": [(0, 0.64), (10, 0.77), (495, 0.78)],
        },
    ),
    "config_dump": (
        "Namespace(batch_size=32, lr=0.1, loss_weight=0.5, top_k=5)\n"
        "label_smoothing: 0.1\n"
        "loss: mse\n"
        "epochs: 2\n"
        "Epoch 1/2 loss=0.9\n"
        "Epoch 2/2 loss=0.8\n"
        "Best loss: 0.8 at epoch 2\n",
        {"loss": [(1, 0.9), (2, 0.8)]},
    ),
    "gan": (
        "[Epoch 0/200] [Batch 0/938] [D loss: 0.5] [G loss: 1.2]\n"
        "[Epoch 0/200] [Batch 400/938] [D loss: 0.54] [G loss: 1.2]\n"
        "[Epoch 0/200] [Batch 800/938] [D loss: 0.58] [G loss: 1.2]\n"
        "[Epoch 1/200] [Batch 0/938] [D loss: 0.5] [G loss: 1.2]\n"
        "[Epoch 1/200] [Batch 400/938] [D loss: 0.54] [G loss: 1.2]\n"
        "[Epoch 1/200] [Batch 800/938] [D loss: 0.58] [G loss: 1.2]\n",
        {
            "d_loss": [(0, 0.5), (400, 0.54), (800, 0.58), (938, 0.5), (1338, 0.54), (1738, 0.58)],
            "g_loss": [(0, 1.2), (400, 1.2), (800, 1.2), (938, 1.2), (1338, 1.2), (1738, 1.2)],
        },
    ),
    "hydra": (
        "[2024-03-01 10:00:00,123][__main__][INFO] - epoch 0 train_loss 2.0 val_loss 1.6\n"
        "[2024-03-01 10:01:00,123][__main__][INFO] - epoch 1 train_loss 1.75 val_loss 1.475\n"
        "[2024-03-01 10:02:00,123][__main__][INFO] - epoch 2 train_loss 1.5 val_loss 1.35\n",
        {"train_loss": [(0, 2.0), (1, 1.75), (2, 1.5)], "val_loss": [(0, 1.6), (1, 1.475), (2, 1.35)]},
    ),
    "several outputs of Kaldi": (
        "LOG (PrintStatsForThisPhase():nnet-training.cc:295) Average objective function for 'output' for minibatches 0-99 is -2.5 over 128 frames.\n"
        "LOG (PrintStatsForThisPhase():nnet-training.cc:295) Average objective function for 'output-xent' for minibatches 0-99 is -7.5 over 128 frames.\n"
        "LOG (PrintStatsForThisPhase():nnet-training.cc:295) Average objective function for 'output-b' for minibatches 0-99 is -9.5 over 128 frames.\n"
        "LOG (PrintStatsForThisPhase():nnet-training.cc:295) Average objective function for 'output' for minibatches 100-199 is -2.0 over 128 frames.\n"
        "LOG (PrintStatsForThisPhase():nnet-training.cc:295) Average objective function for 'output-b' for minibatches 100-199 is -8.5 over 128 frames.\n",
        {"objective_function": [(100, -2.5), (200, -2.0)], "objective_function_output-b": [(100, -9.5), (200, -8.5)]},
    ),
}
