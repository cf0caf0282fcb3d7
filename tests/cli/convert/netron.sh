mnn convert cnn.onnx -o c.mnn --netron m.json -q >/dev/null
python3 - <<END
import base64, json
m = json.load(open("m.json"))
g = m["graph"]
print([n["opType"] for n in g["node"]])
conv = g["node"][0]
a = {x["name"]: x for x in conv["attribute"]}
print([base64.b64decode(s).decode() for s in a["fused"]["strings"]], a["pads"]["ints"], a["pads"]["type"])
print([base64.b64decode(s).decode() for s in a["origin"]["strings"]])
print(g["input"][0], int(m["irVersion"]) > 0, m["opsetImport"][0]["domain"] == "")
made = {t["name"] for t in g["initializer"]} | {i["name"] for i in g["input"]}
for n in g["node"]:
    assert all(i in made for i in n["input"]), n
    made |= set(n["output"])
print(sorted(len(base64.b64decode(t["rawData"])) for t in g["initializer"]))
try:
    import onnx
    from google.protobuf import json_format
    model = json_format.Parse(open("m.json").read(), onnx.ModelProto())
    assert len(model.graph.node) == len(g["node"]) and model.graph.node[0].attribute[0].name
except ImportError:
    pass
END
