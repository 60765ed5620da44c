"""`copy_to_bin`: puts a source file beside the programs of its package.

A genrule cannot, as its output would have the source's own label."""

def _copy_to_bin(ctx):
    out = ctx.actions.declare_file(ctx.file.src.basename)
    ctx.actions.run_shell(
        inputs = [ctx.file.src],
        outputs = [out],
        command = "cp \"$1\" \"$2\"",
        arguments = [ctx.file.src.path, out.path],
        mnemonic = "CopyToBin",
    )
    return [DefaultInfo(
        files = depset([out]),
        runfiles = ctx.runfiles(files = [out]),
    )]

copy_to_bin = rule(
    implementation = _copy_to_bin,
    attrs = {"src": attr.label(allow_single_file = True, mandatory = True)},
)
