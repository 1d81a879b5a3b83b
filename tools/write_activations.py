"""Writes inputs and outputs of PyTorch modules for `star verify`.

Put this file beside your own PyTorch code, which builds the published models and loads their weights, and say what to keep:

    from write_activations import Recorder

    recorder = Recorder()
    recorder.input("text.ids", ids)            # [B, T] token ids, and their mask: 1 where a token is real
    recorder.input("text.mask", mask)
    with recorder.watch("text", text_encoder):
        text_encoder(input_ids=ids, attention_mask=mask)

    recorder.input("vqvae.picture", picture)   # [B, 3, H, W] in -1..1
    with recorder.watch("vqvae", vae):
        tokens = vae.img_to_idxBl(picture)
    recorder.output("vqvae/tokens", torch.cat(tokens, dim=1))
    recorder.input("vqvae.sum", latent)        # [B, Z, h, w], the sum of all scales
    with recorder.watch("vqvae", vae):
        vae.fhat_to_img(latent)

    recorder.input("star.teacher", teacher)    # [B, L-1, Z], the teacher-forcing input
    recorder.input("star.states", states)      # [B, T, D], the text's last hidden states
    recorder.input("star.mask", mask)          # [B, T]
    recorder.input("star.pooled", pooled)      # [B, D]
    with recorder.watch("star", star):
        star(...)                              # its training forward on these inputs, in eval mode

    recorder.save("activations.safetensors")

Run it in float32 and in eval mode, without dropout. It needs torch and safetensors. Paths of modules are those of named_modules();
only outputs that `star verify` can compare are kept.
"""

import re
from contextlib import contextmanager

import torch
from safetensors.torch import save_file

COMPARABLE = {
    "star": r"(word_embed|encoder_proj|blocks\.\d+|head_logits)",
    "vqvae": r"(encoder|decoder)(\.conv_in|\.mid\.\w+|\.(down|up)\.\d+\.(block|attn)\.\d+)?|(post_)?quant_conv",
    "text": r"text_model\.(encoder\.layers\.\d+|final_layer_norm)|encoder\.(block\.\d+|final_layer_norm)",
}


class Recorder:
    def __init__(self):
        self.tensors = {}

    def input(self, name, tensor):
        """Keeps what a model was run on."""
        self.output(f"input/{name}", tensor)

    def output(self, name, tensor):
        """Keeps a tensor under a name; the first of a name stays."""
        kept = tensor.detach().cpu()
        kept = kept.float() if kept.is_floating_point() else kept.long()
        self.tensors.setdefault(name, kept.contiguous().clone())

    @contextmanager
    def watch(self, part, model):
        """Keeps the outputs of a model's modules while it runs."""
        hooks = [
            module.register_forward_hook(self._hook(f"{part}/{plain(path)}"))
            for path, module in model.named_modules()
            if re.fullmatch(COMPARABLE[part], plain(path))
        ]
        try:
            with torch.no_grad():
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, name):
        def keep(_module, _inputs, result):
            first = result[0] if isinstance(result, (tuple, list)) else result
            if torch.is_tensor(first):
                self.output(name, first)

        return keep

    def save(self, path):
        save_file(self.tensors, path)
        print(f"{path}: {len(self.tensors)} tensors")


def plain(path):
    """A module's path without what wrappers put into it."""
    return path.replace("_orig_mod.", "").removeprefix("module.")
