using System.Net;
using System.Net.Sockets;

namespace Signet.Cli.Demo;

/// <summary>Free ports on loopback, below the range from which the kernel takes the ports of outgoing connections.</summary>
internal static class DemoPorts
{
    private const int First = 21000;
    private const int Last = 31000;

    private static int _next = Environment.ProcessId * 97;

    /// <summary>Ports that were free just now and that this process has not handed out before.</summary>
    public static IReadOnlyList<int> Take(int count)
    {
        var ports = new List<int>(count);
        for (var tries = 0; tries < Last - First && ports.Count < count; tries++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref _next) % (Last - First));
            if (IsFree(port))
            {
                ports.Add(port);
            }
        }

        return ports.Count == count ? ports : throw new DemoException($"no {count} free ports between {First} and {Last} on 127.0.0.1");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var probe = new TcpListener(IPAddress.Loopback, port);
            probe.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

/// <summary>A step of the demo did not hold; the message says what was expected and what was seen.</summary>
internal sealed class DemoException(string message) : Exception(message);
