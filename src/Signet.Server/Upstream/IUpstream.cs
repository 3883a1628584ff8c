using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Hosting.Files;

namespace Signet.Server.Upstream;

/// <summary>Takes over an issuing authority, durably before the task completes.</summary>
/// <exception cref="KeyManagerException">It can't be used.</exception>
internal delegate Task InstallIssuer(ExternalIssuer issuer, CancellationToken cancellationToken);

/// <summary>Where issuing authorities come from when the server does not make them below an anchor of its own. One owner turns it.</summary>
internal interface IUpstream : IAsyncDisposable
{
    /// <summary>Installs what is new, if anything is; what could not be installed is tried again at the next turn.</summary>
    /// <param name="ledger">What was installed before.</param>
    /// <param name="install">Takes over.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="KeyManagerException">There should be something, but it can't be had or used; the message says why.</exception>
    /// <exception cref="PlaceException">Files can't be read.</exception>
    Task TurnAsync(AuthorityLedger ledger, InstallIssuer install, CancellationToken cancellationToken);
}
