using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Identity.Rotation;

namespace Signet.Server.Upkeep;

/// <summary>
/// Advances the rotation of the anchor: gathers the laggards, asks <see cref="AnchorRotation"/> what is due, does it, and tells. Operators begin, abort
/// and force it from other threads; the authorities keep the order.
/// </summary>
internal sealed class AnchorRotationKeeper(
    AuthorityRotation authorities, RotationGate gate, Acknowledgements acknowledgements, ChangeSignal bundleChanges, TimeProvider time, ILogger<AnchorRotationKeeper> log)
{
    private const int NamesInLog = 5;

    private static readonly Laggard ClockInDoubt = new("the server's clock", $"it jumped, or does not fit what was signed before; it must go steadily for {ClockWatch.Settling.TotalMinutes} minutes");

    private (AnchorStage Stage, string Names) _told;
    private IReadOnlyList<Laggard> _laggards = [];

    /// <summary>Whom the present stage waits for, as of the last look.</summary>
    public IReadOnlyList<Laggard> Laggards => Volatile.Read(ref _laggards);

    /// <summary>Does what is due, if anything. One owner turns it.</summary>
    /// <param name="isClockSettled">
    /// Whether the clock can be believed: under one that stands wrong every agent looks expired and nobody would be waited for. Only an order passes that.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task TurnAsync(bool isClockSettled, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (isClockSettled && authorities.IsAnchorDue(now))
        {
            await StartAsync("the server itself, because the anchor nears its end", cancellationToken).ConfigureAwait(false);
        }

        var current = authorities.Current;
        if (current.Rotation is not { IsUnderWay: true } rotation)
        {
            Volatile.Write(ref _laggards, []);
            return;
        }

        var laggards = await gate.LaggardsAsync(current, rotation.Stage, cancellationToken).ConfigureAwait(false);
        laggards = isClockSettled ? laggards : [ClockInDoubt, .. laggards];
        Volatile.Write(ref _laggards, laggards);
        switch (rotation.Next(laggards.Count == 0, isClockSettled && authorities.IsAnchorTooLate(now), authorities.AnchorSettling, now))
        {
            case AnchorStep.Switch:
                TellPassed(rotation, laggards);
                var switched = await authorities.SwitchAnchorAsync(cancellationToken).ConfigureAwait(false);
                Announce();
                log.AnchorSwitched(rotation.Successor, switched.Issuing.Id);
                break;

            case AnchorStep.Drop:
                TellPassed(rotation, laggards);
                await authorities.DropAnchorAsync(cancellationToken).ConfigureAwait(false);
                Announce();
                log.AnchorRotated(rotation.Successor);
                break;

            default:
                TellWaiting(rotation, laggards);
                break;
        }
    }

    /// <exception cref="AuthorityException">A rotation is under way already.</exception>
    public async Task<AuthoritySnapshot> StartAsync(string by, CancellationToken cancellationToken)
    {
        var announced = await authorities.AnnounceAnchorAsync(by, cancellationToken).ConfigureAwait(false);
        Announce();
        log.AnchorAnnounced(announced.Rotation!.Successor, announced.Bundle.Sequence!.Value, by);
        return announced;
    }

    /// <exception cref="AuthorityException">No rotation is under way.</exception>
    public async Task<AuthoritySnapshot> AbortAsync(string by, CancellationToken cancellationToken)
    {
        var aborted = await authorities.AbortAnchorAsync(cancellationToken).ConfigureAwait(false);
        Announce();
        log.AnchorRotationAborted(aborted.Rotation!.Successor, by);
        return aborted;
    }

    /// <exception cref="AuthorityException">No rotation is under way.</exception>
    public async Task<AuthoritySnapshot> ForceAsync(string by, string reason, CancellationToken cancellationToken)
    {
        var forced = await authorities.ForceAnchorAsync(reason, cancellationToken).ConfigureAwait(false);
        log.AnchorRotationForced(forced.Rotation!.Stage, by, reason);
        return forced;
    }

    private void Announce()
    {
        acknowledgements.Published();
        bundleChanges.Raise();
    }

    private void TellPassed(AnchorRotation rotation, IReadOnlyList<Laggard> laggards)
    {
        if (laggards.Count > 0)
        {
            log.LaggardsPassed(rotation.Stage, laggards.Count, Names(laggards), rotation.ForcedBecause ?? "the old anchor is at its end");
        }
    }

    private void TellWaiting(AnchorRotation rotation, IReadOnlyList<Laggard> laggards)
    {
        var told = (rotation.Stage, string.Join('\n', laggards.Select(laggard => laggard.Who)));
        if (told != _told && laggards.Count > 0)
        {
            log.AnchorRotationWaits(rotation.Stage, laggards.Count, Names(laggards));
        }

        _told = told;
    }

    private static string Names(IReadOnlyList<Laggard> laggards) =>
        string.Join("; ", laggards.Take(NamesInLog)) + (laggards.Count > NamesInLog ? $"; and {laggards.Count - NamesInLog} more" : "");
}
