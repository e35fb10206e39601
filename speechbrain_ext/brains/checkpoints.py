"""Checkpoints that are either complete or absent."""

import os
import pickle
import shutil

import yaml
from speechbrain.utils.checkpoints import CKPT_PREFIX, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

from speechbrain_ext.errors import UserError, brief
from speechbrain_ext.files import describe

_UNFINISHED = "unfinished."


class AtomicCheckpointer(Checkpointer):
    """A checkpointer whose newest checkpoint is never half written.

    SpeechBrain writes a checkpoint's metadata first, so a killed run leaves a
    folder that looks like the newest checkpoint and is not whole. Here
    everything is written to a folder of another name, which is then renamed.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.utils.checkpoints.Checkpointer` takes them.

    Example
    -------
    >>> import tempfile, torch
    >>> folder = tempfile.mkdtemp()
    >>> saver = AtomicCheckpointer(folder, {"model": torch.nn.Linear(1, 1)})
    >>> checkpoint = saver.save_checkpoint(name="first")
    >>> [path.name for path in saver.checkpoints_dir.iterdir()]
    ['CKPT+first']
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._staging = False
        if if_main_process():
            for left in self.checkpoints_dir.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            # Made with the first checkpoint: a run that is refused leaves none.
            if not any(self.checkpoints_dir.iterdir()):
                self.checkpoints_dir.rmdir()

    def save_checkpoint(self, *args, **kwargs):
        """Save everything, then rename the folder into place.

        Arguments
        ---------
        *args, **kwargs
            As SpeechBrain's method takes them.

        Returns
        -------
        Checkpoint
            The saved checkpoint; None on other than the main process.

        Raises
        ------
        UserError
            When it cannot be written (a full disk); what was saved before
            stays.
        """
        self._staging = True
        saved = None
        try:
            self.checkpoints_dir.mkdir(parents=True, exist_ok=True)
            saved = super().save_checkpoint(*args, **kwargs)
            # Other processes may still write their part.
            ddp_barrier()
            if saved is not None:
                saved = self._publish(saved)
        except (OSError, RuntimeError) as error:
            # torch reports a full disk as a RuntimeError of its zip writer.
            if isinstance(error, RuntimeError) and not _is_write_error(error):
                raise
            self._discard()
            reason = (
                describe(error) if isinstance(error, OSError) else "disk full?"
            )
            raise UserError(
                f"{self.checkpoints_dir}: a checkpoint cannot be written: "
                f"{reason}; the earlier ones are untouched"
            ) from error
        finally:
            self._staging = False
        ddp_barrier()
        return saved

    def load_checkpoint(self, checkpoint):
        """Recover everything from a checkpoint.

        Arguments
        ---------
        checkpoint : Checkpoint
            What to load.

        Raises
        ------
        UserError
            When a file in it is truncated or of another model.
        """
        try:
            super().load_checkpoint(checkpoint)
        except (
            RuntimeError,
            EOFError,
            TypeError,
            ValueError,
            KeyError,
            OSError,
            pickle.UnpicklingError,
            yaml.YAMLError,
        ) as error:
            raise UserError(
                f"{checkpoint.path}: the checkpoint cannot be loaded "
                f"({type(error).__name__}: {brief(error)}); expected one "
                "of this recipe and settings; remove that folder to go on "
                "from an earlier one"
            ) from error

    def _publish(self, saved):
        final = saved.path.with_name(saved.path.name[len(_UNFINISHED) :])
        if final.exists():
            shutil.rmtree(final)
        for path in saved.path.iterdir():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        saved.path.rename(final)
        paramfiles = {
            name: final / path.name for name, path in saved.paramfiles.items()
        }
        return saved._replace(path=final, paramfiles=paramfiles)

    def _discard(self):
        for left in self.checkpoints_dir.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _list_checkpoint_dirs(self):
        if not self.checkpoints_dir.is_dir():
            return []
        return super()._list_checkpoint_dirs()

    def _new_checkpoint_dirpath(self):
        path = super()._new_checkpoint_dirpath()
        return self._stage(path)

    def _custom_checkpoint_dirpath(self, name):
        return self._stage(super()._custom_checkpoint_dirpath(name))

    def _stage(self, path):
        if not self._staging:
            return path
        assert path.name.startswith(CKPT_PREFIX)
        return path.with_name(_UNFINISHED + path.name)


def _is_write_error(error):
    message = str(error)
    return any(
        part in message
        for part in ("PytorchStreamWriter", "inline_container", "iostream")
    )
