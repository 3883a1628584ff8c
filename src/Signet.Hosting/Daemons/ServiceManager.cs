using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Signet.Hosting.Daemons;

/// <summary>
/// Tells systemd how the daemon stands (sd_notify(3)) when the environment says that it wants to know; otherwise every call does nothing.
/// A message that can't be delivered is dropped: the service manager's absence must not hurt the service.
/// </summary>
public sealed class ServiceManager
{
    private readonly UnixDomainSocketEndPoint? _socket;
    private readonly string _processId;

    /// <param name="environment">Where <c>NOTIFY_SOCKET</c>, <c>WATCHDOG_USEC</c> and <c>WATCHDOG_PID</c> stand.</param>
    /// <param name="processId">This process: a watchdog set for another is not ours.</param>
    public ServiceManager(IReadOnlyDictionary<string, string> environment, int processId)
    {
        _processId = processId.ToString(CultureInfo.InvariantCulture);
        if (environment.TryGetValue("NOTIFY_SOCKET", out var path) && path.Length is > 1 and < 108 && path[0] is '/' or '@')
        {
            _socket = new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path);
        }

        var meant = !environment.TryGetValue("WATCHDOG_PID", out var pid) || pid == _processId;
        if (_socket is not null && meant && environment.TryGetValue("WATCHDOG_USEC", out var text)
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var microseconds) && microseconds is > 0 and < uint.MaxValue)
        {
            WatchdogInterval = TimeSpan.FromMicroseconds(microseconds) / 2;
        }
    }

    /// <summary>How often to call <see cref="Watchdog"/>: half of what the service manager allows. Null when it does not watch.</summary>
    public TimeSpan? WatchdogInterval { get; }

    /// <summary>Everything started, and this process is the service from now on: another may have been before.</summary>
    public void Ready() => Send($"READY=1\nMAINPID={_processId}");

    /// <summary>It drains and will end.</summary>
    public void Stopping() => Send("STOPPING=1");

    /// <summary>It still lives.</summary>
    public void Watchdog() => Send("WATCHDOG=1");

    private void Send(string message)
    {
        if (_socket is null)
        {
            return;
        }

        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
            socket.SendTo(Encoding.UTF8.GetBytes(message), _socket);
        }
        catch (SocketException)
        {
            // Nobody listens, or its queue is full.
        }
    }
}
