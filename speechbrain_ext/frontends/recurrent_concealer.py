"""A time-domain recurrent network that predicts the next lost packet."""

import torch
from speechbrain.dataio.dataio import length_to_mask
from torch import nn
from torch.nn import functional as F

#: RMS below which a context counts as silence, which is continued by silence.
_SILENCE = 1e-6


class RecurrentConcealer(nn.Module):
    """Predict each lost packet from a short context of past packets.

    In the manner of tPLCnet (Westhausen & Meyer, Interspeech 2022): a recurrent
    network reads a few past packets of the waveform and its last state gives
    the next packet (many to one), only where a packet is lost. Packets that
    were concealed are context for those that follow, so that a burst goes on
    from its own predictions; nothing of the future is used. The sizes and what
    follows are ours.

    A context is scaled to unit RMS and the prediction scaled back; a prediction
    is never louder than the loudest packet of its context, which keeps long
    bursts stable. A prediction is ``crossfade_samples`` longer than a packet:
    the surplus is faded into the start of the next one, which changes so many
    *received* samples after each gap, and no others.

    In training all packets of a batch are predicted at once: a first pass of
    predictions without gradients fills the contexts, ``training_rounds`` times,
    and the last pass is learnt from. This is what inference does, but for the
    late packets of bursts longer than the rounds, and does not go step by step
    through the utterance.

    Arguments
    ---------
    packet_samples : int
        Samples of a packet (16 kHz).
    context_packets : int
        Past packets that a prediction sees.
    hidden_size : int
        Of each recurrent layer.
    n_layers : int
        Recurrent layers.
    crossfade_samples : int
        Samples of the next packet that a prediction fades into.
    training_rounds : int
        Passes that fill the contexts in training.

    Example
    -------
    >>> net = RecurrentConcealer(hidden_size=16).eval()
    >>> wavs, lost = torch.randn(1, 1600), torch.zeros(1, 1600).bool()
    >>> lost[:, 640:960] = True
    >>> found = net(wavs * ~lost, torch.ones(1), lost)
    >>> (found != wavs * ~lost).sum(), bool((found[:, 1040:] == 0).any())
    (tensor(400), False)
    """

    takes_waveforms = True

    def __init__(
        self,
        packet_samples=320,
        context_packets=7,
        hidden_size=256,
        n_layers=2,
        crossfade_samples=80,
        training_rounds=2,
    ):
        super().__init__()
        self.packet_samples = packet_samples
        self.context_packets = context_packets
        self.training_rounds = training_rounds
        # Beside the samples, whether they were received or concealed.
        self.entry = nn.Linear(packet_samples + 1, hidden_size)
        self.recurrent = nn.GRU(
            hidden_size, hidden_size, n_layers, batch_first=True
        )
        # The last packet once more: its phases decide the next one's.
        self.middle = nn.Linear(hidden_size + packet_samples, 2 * hidden_size)
        self.exit = nn.Linear(
            2 * hidden_size, packet_samples + crossfade_samples
        )
        # Untrained, it answers with next to silence.
        nn.init.xavier_uniform_(self.exit.weight, gain=0.1)
        nn.init.zeros_(self.exit.bias)
        steps = (torch.arange(crossfade_samples) + 0.5) / crossfade_samples
        rising = torch.sin(0.5 * torch.pi * steps) ** 2
        self.register_buffer("rising", rising, persistent=False)

    def forward(self, x, lengths, lost=None):
        """Conceal the lost packets of a batch.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time], 16 kHz, zero where samples are lost.
        lengths : torch.Tensor
            [batch], relative: what lies past the end stays as it is.
        lost : torch.Tensor, optional
            bool [batch, time], True where a sample is lost; nothing is if not
            given. A packet that is lost in part is predicted whole, and only
            its lost samples are replaced.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        if lost is None:
            lost = torch.zeros_like(x, dtype=torch.bool)
        ends = (lengths * x.shape[1]).round()
        inside = length_to_mask(
            ends, x.shape[1], dtype=torch.bool, device=x.device
        )
        packets, gone = self._packets(x), self._packets(lost & inside)
        conceal = self._all_at_once if self.training else self._in_turn
        found = conceal(packets, gone).flatten(1)[:, : x.shape[1]]
        return torch.where(inside, found, x)

    def predict(self, context, received):
        """Predict what follows each context.

        Arguments
        ---------
        context : torch.Tensor
            [n, packets, samples], the past, the latest packet last.
        received : torch.Tensor
            [n, packets], the share of each packet that was received.

        Returns
        -------
        torch.Tensor
            [n, samples]: the next packet and the surplus that is faded out.
        """
        power = context.square().mean(dim=2)
        scale = power.mean(dim=1, keepdim=True).sqrt().clamp(min=_SILENCE)
        context = context / scale[..., None]
        inputs = torch.cat([context, received[..., None]], dim=2)
        states, _ = self.recurrent(F.gelu(self.entry(inputs)))
        latest = torch.cat([states[:, -1], context[:, -1]], dim=1)
        found = self.exit(F.gelu(self.middle(latest))) * scale
        # Never exactly 0: the root has a gradient at silence too.
        loudest = power.amax(dim=1, keepdim=True) + _SILENCE**2
        packet = found[:, : self.packet_samples]
        own = packet.square().mean(dim=1, keepdim=True) + _SILENCE**2
        return found * (loudest / own).clamp(max=1.0).sqrt()

    def _packets(self, x):
        """[batch, time] as [batch, packets, samples], filled up with zeros."""
        missing = -x.shape[1] % self.packet_samples
        return F.pad(x, (0, missing)).unflatten(1, (-1, self.packet_samples))

    def _in_turn(self, packets, gone):
        """Conceal in the order of time, as a receiver does."""
        filled, received = self._with_past(packets, gone)
        resumes = _resumes(gone)
        n_past = self.context_packets
        previous = packets.new_zeros(len(packets), len(self.exit.bias))
        active = gone.any(dim=2) | resumes
        for now in active.any(dim=0).nonzero()[:, 0].tolist():
            past, rows = slice(now, now + n_past), gone[:, now].any(dim=1)
            predicted = torch.zeros_like(previous)
            if rows.any():
                predicted[rows] = self.predict(
                    filled[rows, past], received[rows, past]
                )
            filled[:, now + n_past] = self._join(
                packets[:, now],
                gone[:, now],
                predicted,
                previous,
                resumes[:, now],
            )
            previous = predicted
        return filled[:, n_past:]

    def _all_at_once(self, packets, gone):
        """Conceal all packets from the contexts of the round before."""
        filled, received = self._with_past(packets, gone)
        rows, places = gone.any(dim=2).nonzero(as_tuple=True)
        resumes = _resumes(gone)
        n_past = self.context_packets
        for rounds_left in reversed(range(self.training_rounds + 1)):
            with torch.set_grad_enabled(
                torch.is_grad_enabled() and not rounds_left
            ):
                past = places[:, None] + torch.arange(
                    n_past, device=places.device
                )
                # One more, of silence: a batch without losses has gradients
                # too, of zero, which other processes wait for.
                context = F.pad(filled[rows[:, None], past], (0, 0, 0, 0, 0, 1))
                known = F.pad(received[rows[:, None], past], (0, 0, 0, 1))
                found = self.predict(context, known)
                predicted = packets.new_zeros(
                    *packets.shape[:2], found.shape[1]
                )
                predicted = predicted.index_put((rows, places), found[:-1])
                previous = F.pad(predicted, (0, 0, 1, 0))[:, :-1]
                joined = self._join(packets, gone, predicted, previous, resumes)
                filled = torch.cat([filled[:, :n_past], joined], dim=1)
        return joined + 0.0 * found[-1].sum()

    def _with_past(self, packets, gone):
        """Packets and received shares, behind a past of silence."""
        n_past = self.context_packets
        received = F.pad(1.0 - gone.to(packets).mean(dim=2), (n_past, 0))
        return F.pad(packets, (0, 0, n_past, 0)), received

    def _join(self, packets, gone, predicted, previous, resumes):
        """Replace lost samples; fade the surplus of the packet before out."""
        size, fade = self.packet_samples, len(self.rising)
        joined = torch.where(gone, predicted[..., :size], packets)
        head, rest = joined[..., :fade], joined[..., fade:]
        faded = head * self.rising + previous[..., size:] * (1 - self.rising)
        head = torch.where(resumes[..., None], faded, head)
        return torch.cat([head, rest], dim=-1)


def _resumes(gone):
    """bool [batch, packets], True where the sample before the packet is lost."""
    return F.pad(gone[:, :-1, -1], (1, 0))
