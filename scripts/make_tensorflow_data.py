#!/usr/bin/env python3
"""Makes tests/data/tensorflow: small networks as SavedModel folders, frozen graphs and TFLite files.

Needs TensorFlow (tensorflow 2.18.1 with keras 3.8.0 made the files in the repository):
    python3 scripts/make_tensorflow_data.py tests/data/tensorflow
Per network NAME/ (SavedModel), for some also NAME.pb (frozen, with functional control flow)
and NAME.tflite; NAME.npz has what the network gives: inputs under "in.<name>", outputs under "out.<name>".
"""
import os
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

random = np.random.default_rng(5)


def randomize(model):
    for weight in model.weights:
        value = random.normal(0, 0.4, weight.shape).astype(np.float32)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.name else value)
    return model


def cnn():
    x = image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(6, 1)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(image, layers.Dense(3, activation="softmax")(x)))


def rnn():
    x = steps = keras.Input((5, 3), name="steps")
    x = layers.LSTM(4, return_sequences=True)(x)
    x = layers.Bidirectional(layers.GRU(3))(x)
    return randomize(keras.Model(steps, layers.Dense(2)(x)))


class Functions(tf.Module):
    """Several signatures, types besides float32, a variable that none reads."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(random.normal(size=(4, 3)).astype(np.float32))
        self.half = tf.Variable(tf.cast([0.5, 1.0, -2.0], tf.float16))
        self.brain = tf.Variable(tf.cast([1.0, 0.25, 4.0], tf.bfloat16))
        self.unread = tf.Variable(["a", "text"])

    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
    def project(self, x):
        return {"y": x @ self.w + tf.cast(self.half, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="a"),
                                  tf.TensorSpec([3], name="b")])
    def scale(self, a, b):
        return {"sum": a + b, "scaled": a * tf.cast(self.brain, tf.float32)}


def shrink(folder):
    """Leaves out what only tools of TensorFlow look at: half the bytes."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta in model.meta_graphs:
        meta.meta_info_def.ClearField("stripped_op_list")
        meta.graph_def.ClearField("debug_info")
        for nodes in [meta.graph_def.node] + [f.node_def for f in meta.graph_def.library.function]:
            for node in nodes:
                node.ClearField("experimental_debug_info")
                node.attr.pop("_output_shapes", None)
        for function in meta.graph_def.library.function:
            function.attr.pop("_output_shapes", None)
    path.write_bytes(model.SerializeToString())
    for extra in ["fingerprint.pb", "keras_metadata.pb"]:
        (folder / extra).unlink(missing_ok=True)
    for empty in ["assets", "assets.extra"]:
        shutil.rmtree(folder / empty, ignore_errors=True)


def golden(path, inputs, outputs):
    tensors = {"in." + name: np.asarray(value) for name, value in inputs.items()}
    tensors.update({"out." + name: np.asarray(value) for name, value in outputs.items()})
    np.savez(path, **tensors)


def run_signature(folder, inputs, name="serving_default"):
    function = tf.saved_model.load(str(folder)).signatures[name]
    return function(**{k: tf.constant(v) for k, v in inputs.items()})


def save_keras(out, name, model):
    folder = out / name
    model.export(str(folder), verbose=False)
    spec = model.inputs[0]
    shape = [1, *spec.shape[1:]]
    x = random.normal(size=shape).astype(np.float32)
    golden(out / f"{name}.npz", {spec.name: x}, run_signature(folder, {spec.name: x}))
    shrink(folder)
    call = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32, name=spec.name))
    frozen = convert_variables_to_constants_v2(call, lower_control_flow=False)
    graph = frozen.graph.as_graph_def()
    for nodes in [graph.node] + [f.node_def for f in graph.library.function]:
        for node in nodes:
            node.ClearField("experimental_debug_info")
            node.attr.pop("_output_shapes", None)
    (out / f"{name}.pb").write_bytes(graph.SerializeToString())
    lite = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    (out / f"{name}.tflite").write_bytes(lite.convert())


def save_functions(out):
    module = Functions()
    for name, options in [
        ("functions", None),
        ("shards", tf.saved_model.SaveOptions(
            experimental_sharding_callback=tf.train.experimental.MaxShardSizePolicy(
                max_shard_size=40)))]:
        folder = out / name
        tf.saved_model.save(module, str(folder), options=options,
                            signatures={"project": module.project, "scale": module.scale})
        x = random.normal(size=(2, 4)).astype(np.float32)
        golden(out / f"{name}.npz", {"x": x}, run_signature(folder, {"x": x}, "project"))
        shrink(folder)


def save_graph(out, name, resources):
    """As TensorFlow 1 saves: variables in the graph, one of them in three parts."""
    v1 = tf.compat.v1
    (v1.enable_resource_variables if resources else v1.disable_resource_variables)()
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(3)
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        w = v1.get_variable("w", [4, 6])
        b = v1.get_variable("b", [6], initializer=v1.random_normal_initializer())
        with v1.variable_scope("parts", partitioner=v1.fixed_size_partitioner(3)):
            split = v1.get_variable("v", [6, 2])
        y = tf.nn.relu(tf.matmul(x, w) + b, name="y")
        z = tf.matmul(y, tf.convert_to_tensor(split), name="z")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(out / name), {"x": x}, {"y": y, "z": z})
        given = random.normal(size=(3, 4)).astype(np.float32)
        results = session.run({"y": y, "z": z}, {x: given})
    golden(out / f"{name}.npz", {"x": given}, results)
    shrink(out / name)


def main():
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    save_keras(out, "cnn", cnn())
    save_keras(out, "rnn", rnn())
    save_functions(out)
    save_graph(out, "graph_refs", resources=False)
    save_graph(out, "graph_resources", resources=True)


if __name__ == "__main__":
    main()
