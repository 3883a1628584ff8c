using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>
/// A client's sessions that can be resumed, by destination. They belong to one identity under one set of bundles and go with it. Each is
/// used once, so that connections cannot be linked by it (RFC 8446 §C.4). Thread-safe. Once disposed of, it keeps none.
/// </summary>
internal sealed class TlsSessions : IDisposable
{
    private const int MaxDestinations = 1024;
    private const int MaxPerDestination = 16;

    private readonly ConcurrentDictionary<string, ConcurrentStack<SessionHandle>> _kept = new(StringComparer.Ordinal);
    private volatile bool _isOver;

    /// <summary>Lets a new connection resume a session, if one is there.</summary>
    public void Resume(nint ssl, string destination)
    {
        if (_kept.TryGetValue(destination, out var stack) && stack.TryPop(out var session))
        {
            using (session)
            {
                _ = LibSsl.SetSession(ssl, session.DangerousGetHandle());
            }
        }
    }

    /// <returns>False when there are enough; the session stays the caller's.</returns>
    public bool Keep(nint session, string destination)
    {
        if (_isOver)
        {
            return false;
        }

        if (!_kept.TryGetValue(destination, out var stack))
        {
            if (_kept.Count >= MaxDestinations)
            {
                return false;
            }

            stack = _kept.GetOrAdd(destination, _ => new());
        }

        if (stack.Count >= MaxPerDestination)
        {
            return false;
        }

        stack.Push(new SessionHandle(session));
        return true;
    }

    public void Dispose()
    {
        _isOver = true;
        foreach (var stack in _kept.Values)
        {
            while (stack.TryPop(out var session))
            {
                session.Dispose();
            }
        }
    }

    private sealed class SessionHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        public SessionHandle(nint session)
            : base(ownsHandle: true) => SetHandle(session);

        protected override bool ReleaseHandle()
        {
            LibSsl.FreeSession(handle);
            return true;
        }
    }
}
