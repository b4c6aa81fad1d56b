"""The `gloro` package's certificates for a network written by `benchmarks.certifiers`; in an environment of its own.

    PYTHON benchmarks/peers/gloro_net.py FILE

Its MinMax sorts neighbouring channels where ours sorts channel i with i + c/2, and Keras keeps channels last: rows and
columns of the weights are rearranged so that the network is the same.
"""

import json
import os
import resource
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

# The package was written for numpy 1.
vars(np)["infty"] = np.inf

import gloro  # noqa: E402
import tensorflow as tf  # noqa: E402
from gloro.layers import MinMax  # noqa: E402
from tensorflow.keras import layers as keras  # noqa: E402


def interleaved(channels: int) -> np.ndarray:
    """Which of our channels stands at each place, so that the pairs (i, i + c/2) are neighbours."""
    return np.arange(channels).reshape(2, -1).T.flatten()


def rebuilt(stated: dict, tensors: dict) -> tf.keras.Model:
    channels, height, width = tensors["rows"].shape[1:]
    inputs = keras.Input((height, width, channels))
    value, order = inputs, np.arange(channels)
    for place, (kind, stride, padding) in enumerate(stated["layers"]):
        if kind == "minmax":
            value = MinMax()(value)
            # Each pair is now (minimum, maximum), of which ours are channels i + c/2 and i.
            order = order.reshape(-1, 2)[:, ::-1].flatten()
            continue
        if kind == "flatten":
            height, width = value.shape[1:3]
            value = keras.Flatten()(value)
            positions = np.arange(height * width)
            order = (order[None, :] * (height * width) + positions[:, None]).flatten()
            continue
        weight, bias = tensors[f"{place}.weight"], tensors[f"{place}.bias"]
        weight = weight[:, order]
        followed = place + 1 < len(stated["layers"]) and stated["layers"][place + 1][0] == "minmax"
        order = interleaved(len(weight)) if followed else np.arange(len(weight))
        weight, bias = weight[order], bias[order]
        if kind == "dense":
            layer, kernel = keras.Dense(len(weight)), weight.T
        else:
            assert padding == 1
            layer = keras.Conv2D(len(weight), weight.shape[2], strides=stride, padding="same")
            kernel = weight.transpose(2, 3, 1, 0)
        value = layer(value)
        layer.set_weights([kernel, bias])
    return tf.keras.Model(inputs, value)


def main() -> None:
    tensors = dict(np.load(sys.argv[1]))
    stated = json.loads(str(tensors["stated"]))
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = rebuilt(stated, tensors)
    net = gloro.GloroNet(model=model, epsilon=stated["epsilon"])
    start = time.perf_counter()
    net.freeze_lipschitz_constant()
    preparation = time.perf_counter() - start
    rows = tensors["rows"].transpose(0, 2, 3, 1)
    parts = [tf.constant(rows[at : at + stated["batch"]]) for at in range(0, len(rows), stated["batch"])]
    plain, certifying = tf.function(model), tf.function(net)
    plain(parts[0]), certifying(parts[0])
    rates = {}
    for name, function in (("forward", plain), ("rate", certifying)):
        spent = []
        for _ in range(5):
            start = time.perf_counter()
            found = [function(part).numpy() for part in parts]
            spent.append(time.perf_counter() - start)
        rates[name] = len(rows) / sorted(spent)[2]
    answers = np.concatenate(found)
    logits = np.concatenate([plain(part).numpy() for part in parts])
    print(
        json.dumps(
            {
                "version": f"gloro 1.1.1, TensorFlow {tf.__version__}",
                "certified": (answers.argmax(1) < logits.shape[1]).tolist(),
                "difference": float(np.abs(logits - tensors["logits"]).max()),
                "preparation": preparation,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                **rates,
            }
        )
    )


if __name__ == "__main__":
    main()
