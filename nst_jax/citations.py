"""What a run rests on, as BibTeX: method, network, optimiser, program."""

from collections.abc import Iterator

from nst_jax.config import Config
from nst_jax.preset import Preset

_ENTRIES = {
    "gatys2015": """@article{gatys2015,
  title = {A Neural Algorithm of Artistic Style},
  author = {Gatys, Leon A. and Ecker, Alexander S. and Bethge, Matthias},
  journal = {arXiv:1508.06576},
  year = {2015}
}""",
    "gatys2016": """@inproceedings{gatys2016,
  title = {Image Style Transfer Using Convolutional Neural Networks},
  author = {Gatys, Leon A. and Ecker, Alexander S. and Bethge, Matthias},
  booktitle = {Computer Vision and Pattern Recognition},
  year = {2016}
}""",
    "gatys2017": """@inproceedings{gatys2017,
  title = {Controlling Perceptual Factors in Neural Style Transfer},
  author = {Gatys, Leon A. and Ecker, Alexander S. and Bethge, Matthias and
            Hertzmann, Aaron and Shechtman, Eli},
  booktitle = {Computer Vision and Pattern Recognition},
  year = {2017}
}""",
    "simonyan2015": """@inproceedings{simonyan2015,
  title = {Very Deep Convolutional Networks for Large-Scale Image Recognition},
  author = {Simonyan, Karen and Zisserman, Andrew},
  booktitle = {International Conference on Learning Representations},
  year = {2015}
}""",
    "torchvision": """@misc{torchvision,
  title = {TorchVision: PyTorch's Computer Vision Library},
  author = {{TorchVision maintainers and contributors}},
  howpublished = {github.com/pytorch/vision},
  year = {2016}
}""",
    "johnson2016": """@inproceedings{johnson2016,
  title = {Perceptual Losses for Real-Time Style Transfer and Super-Resolution},
  author = {Johnson, Justin and Alahi, Alexandre and Fei-Fei, Li},
  booktitle = {European Conference on Computer Vision},
  year = {2016}
}""",
    "mahendran2015": """@inproceedings{mahendran2015,
  title = {Understanding Deep Image Representations by Inverting Them},
  author = {Mahendran, Aravindh and Vedaldi, Andrea},
  booktitle = {Computer Vision and Pattern Recognition},
  year = {2015}
}""",
    "li2017demystifying": """@inproceedings{li2017demystifying,
  title = {Demystifying Neural Style Transfer},
  author = {Li, Yanghao and Wang, Naiyan and Liu, Jiaying and Hou, Xiaodi},
  booktitle = {International Joint Conference on Artificial Intelligence},
  year = {2017}
}""",
    "olkin1982": """@article{olkin1982,
  title = {The Distance between Two Random Vectors with Given Dispersion Matrices},
  author = {Olkin, Ingram and Pukelsheim, Friedrich},
  journal = {Linear Algebra and its Applications},
  volume = {48},
  year = {1982}
}""",
    "li2017laplacian": """@inproceedings{li2017laplacian,
  title = {Laplacian-Steered Neural Style Transfer},
  author = {Li, Shaohua and Xu, Xinxing and Nie, Liqiang and Chua, Tat-Seng},
  booktitle = {ACM Multimedia},
  year = {2017}
}""",
    "liu1989": """@article{liu1989,
  title = {On the Limited Memory {BFGS} Method for Large Scale Optimization},
  author = {Liu, Dong C. and Nocedal, Jorge},
  journal = {Mathematical Programming},
  volume = {45},
  year = {1989}
}""",
    "kingma2015": """@inproceedings{kingma2015,
  title = {Adam: A Method for Stochastic Optimization},
  author = {Kingma, Diederik P. and Ba, Jimmy},
  booktitle = {International Conference on Learning Representations},
  year = {2015}
}""",
    "tieleman2012": """@misc{tieleman2012,
  title = {Lecture 6.5: {RMSProp}},
  author = {Tieleman, Tijmen and Hinton, Geoffrey},
  howpublished = {Coursera: Neural Networks for Machine Learning},
  year = {2012}
}""",
    "duchi2011": """@article{duchi2011,
  title = {Adaptive Subgradient Methods for Online Learning and Stochastic
           Optimization},
  author = {Duchi, John and Hazan, Elad and Singer, Yoram},
  journal = {Journal of Machine Learning Research},
  volume = {12},
  year = {2011}
}""",
    "jcjohnson": """@misc{jcjohnson,
  title = {neural-style},
  author = {Johnson, Justin},
  howpublished = {github.com/jcjohnson/neural-style},
  year = {2015}
}""",
    "progamergov": """@misc{progamergov,
  title = {neural-style-pt},
  author = {{ProGamerGov}},
  howpublished = {github.com/ProGamerGov/neural-style-pt},
  year = {2019}
}""",
    "crowson": """@misc{crowson,
  title = {style-transfer-pytorch},
  author = {Crowson, Katherine},
  howpublished = {github.com/crowsonkb/style-transfer-pytorch},
  year = {2020}
}""",
    "tensorflow": """@misc{tensorflow,
  title = {Neural style transfer},
  author = {{TensorFlow authors}},
  howpublished = {tensorflow.org/tutorials/generative/style\\_transfer},
  year = {2019}
}""",
    "chollet": """@misc{chollet,
  title = {Neural style transfer},
  author = {Chollet, Fran\\c{c}ois},
  howpublished = {keras.io/examples/generative/neural\\_style\\_transfer},
  year = {2016}
}""",
    "jacq": """@misc{jacq,
  title = {Neural Transfer Using {PyTorch}},
  author = {Jacq, Alexis},
  howpublished = {pytorch.org/tutorials/advanced/neural\\_style\\_tutorial.html},
  year = {2017}
}""",
    "athalye": """@misc{athalye,
  title = {Neural Style},
  author = {Athalye, Anish},
  howpublished = {github.com/anishathalye/neural-style},
  year = {2015}
}""",
    "smith": """@misc{smith,
  title = {neural-style-tf},
  author = {Smith, Cameron},
  howpublished = {github.com/cysmith/neural-style-tf},
  year = {2016}
}""",
    "gatyscode": """@misc{gatyscode,
  title = {PytorchNeuralStyleTransfer},
  author = {Gatys, Leon A.},
  howpublished = {github.com/leongatys/PytorchNeuralStyleTransfer},
  year = {2017}
}""",
    "coursera": """@misc{coursera,
  title = {Convolutional Neural Networks, Programming Assignment: Art Generation with
           Neural Style Transfer},
  author = {{deeplearning.ai}},
  year = {2017}
}""",
    "ding": """@misc{ding,
  title = {{CS} 229 Final Project: Neural Style Transfer},
  author = {Ding, Jixun and Liu, Fangze and Wang, Wen},
  howpublished = {Stanford University}
}""",
    "jax": """@software{jax,
  title = {{JAX}: composable transformations of {Python}+{NumPy} programs},
  author = {Bradbury, James and Frostig, Roy and Hawkins, Peter and Johnson, Matthew
            James and Leary, Chris and Maclaurin, Dougal and Necula, George and
            Paszke, Adam and Vander{P}las, Jake and Wanderman-{M}ilne, Skye and Zhang,
            Qiao},
  url = {http://github.com/jax-ml/jax},
  year = {2018}
}""",
    "nst_jax": """@software{nst_jax,
  title = {nst\\_jax: neural style transfer as pure functions in {JAX}},
  author = {{the nst\\_jax authors}},
  year = {2026}
}""",
}
_OPTIMIZERS = {
    "lbfgs": "liu1989",
    "adam": "kingma2015",
    "rmsprop": "tieleman2012",
    "adagrad": "duchi2011",
}
_STYLES = {
    "mean_std": "li2017demystifying",
    "wasserstein": "olkin1982",
}


def text(config: Config, preset: Preset | None) -> str:
    """The BibTeX of what a run with these settings uses."""
    keys = dict.fromkeys([*(preset.cites if preset else ()), *_used(config)])
    return "\n\n".join(_ENTRIES[key] for key in keys)


def _used(config: Config) -> Iterator[str]:
    goal, control = config.objective, config.control
    yield "gatys2016"
    for name in goal.style_losses():
        if name in _STYLES:
            yield _STYLES[name]
    if goal.gram_division == "elements":
        yield "johnson2016"
    if goal.tv_weight and goal.tv_loss == "power":
        yield "mahendran2015"
    if goal.laplacian_weight:
        yield "li2017laplacian"
    if control.content_mask or control.color != "none":
        yield "gatys2017"
    yield "simonyan2015"
    if config.network.weights.endswith("torchvision"):
        yield "torchvision"
    if config.optimizer.optimizer in _OPTIMIZERS:
        yield _OPTIMIZERS[config.optimizer.optimizer]
    yield from ("jax", "nst_jax")
