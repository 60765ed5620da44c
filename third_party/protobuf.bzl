"""Generates C++ from .proto files with Debian's protoc and gRPC plug-in.

`lite_proto_library` is for processes that carry descriptors over seqpacket
channels (drivers, models, supervisor): the .proto says
`option optimize_for = LITE_RUNTIME;` and only protobuf-lite is linked.
`grpc_proto_library` is for the operator's API.
"""

def _generate(name, src, grpc):
    stem = src[:-len(".proto")]
    outs = [stem + ".pb.h", stem + ".pb.cc"]
    if grpc:
        outs += [stem + ".grpc.pb.h", stem + ".grpc.pb.cc"]
    plugin = "--grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin" if grpc else ""
    native.genrule(
        name = name + "_generated",
        srcs = [src],
        outs = outs,
        cmd = "/usr/bin/protoc --proto_path=. --cpp_out=$(GENDIR) %s $(location %s)" % (plugin, src),
        visibility = ["//visibility:private"],
    )
    return outs

def lite_proto_library(name, src, visibility = None):
    outs = _generate(name, src, False)
    native.cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-Wno-unused-parameter"],
        visibility = visibility,
        deps = ["//third_party:protobuf_lite"],
    )

def grpc_proto_library(name, src, visibility = None):
    outs = _generate(name, src, True)
    native.cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-Wno-unused-parameter"],
        visibility = visibility,
        deps = ["//third_party:grpc"],
    )
