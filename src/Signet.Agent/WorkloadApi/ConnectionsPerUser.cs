using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Signet.Hosting.PeerCredentials;

namespace Signet.Agent.WorkloadApi;

/// <summary>Keeps one user's processes from taking all connections of a socket that everybody may connect to. Thread-safe.</summary>
internal sealed class ConnectionsPerUser(ILogger log)
{
    /// <summary>How many connections the processes of one user may have: half of all there can be.</summary>
    public const int Max = WorkloadEndpoint.MaxConnections / 2;

    private readonly Lock _gate = new();
    private readonly Dictionary<uint, int> _open = [];
    private readonly HashSet<uint> _told = [];

    /// <summary>Counts the connections of an endpoint that knows its peers.</summary>
    public void Limit(ListenOptions listen) => listen.Use(next => async connection =>
    {
        if (connection.Features.Get<PeerCredential>() is not { } peer)
        {
            await next(connection).ConfigureAwait(false);
            return;
        }

        if (!TryEnter(peer.Uid))
        {
            if (IsNews(peer.Uid))
            {
                log.TooManyConnections(peer.Pid, peer.Uid, Max);
            }

            connection.Abort(new ConnectionAbortedException("too many connections of this user"));
            return;
        }

        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            Leave(peer.Uid);
        }
    });

    internal bool TryEnter(uint uid)
    {
        lock (_gate)
        {
            var count = _open.GetValueOrDefault(uid);
            _open[uid] = count < Max ? count + 1 : count;
            return count < Max;
        }
    }

    internal void Leave(uint uid)
    {
        lock (_gate)
        {
            var count = --_open[uid];
            if (count == 0)
            {
                _open.Remove(uid);
            }

            if (count < Max / 2)
            {
                _told.Remove(uid);
            }
        }
    }

    /// <summary>Whether the log has not been told yet of this user, or not since it had half as many.</summary>
    internal bool IsNews(uint uid)
    {
        lock (_gate)
        {
            return _told.Add(uid);
        }
    }
}
