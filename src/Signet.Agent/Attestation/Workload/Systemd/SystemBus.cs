using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation.Workload.Systemd;

/// <summary>The service manager cannot be asked; the message says why.</summary>
internal sealed class SystemBusException(string message) : Exception(message);

/// <summary>Reads properties of units from systemd, over the system's message bus (org.freedesktop.systemd1(5)). A connection for each question. Thread-safe.</summary>
/// <param name="socket">The bus.</param>
/// <param name="uid">The user that this process runs as, which the bus checks.</param>
/// <param name="time">The clock.</param>
internal sealed class SystemBus(string socket, uint uid, TimeProvider time)
{
    private const string Bus = "org.freedesktop.DBus", Manager = "org.freedesktop.systemd1";
    private const uint HelloSerial = 1, GetSerial = 2;

    /// <summary>The longest line of the handshake, in bytes.</summary>
    private const int MaxLine = 512;

    /// <summary>How many messages that nobody asked for may come before the answer.</summary>
    private const int MaxOthers = 32;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    /// <summary>A text property of a unit; empty when the unit has none.</summary>
    /// <exception cref="SystemBusException">It cannot be asked.</exception>
    public async Task<string> UnitTextAsync(string unit, string property, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            using var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), either.Token).ConfigureAwait(false);
            using var stream = new NetworkStream(connection);
            await GreetAsync(stream, either.Token).ConfigureAwait(false);
            await stream.WriteAsync(BusMessage.EncodeCall(HelloSerial, Bus, "/org/freedesktop/DBus", Bus, "Hello"), either.Token).ConfigureAwait(false);
            await ReplyAsync(stream, HelloSerial, either.Token).ConfigureAwait(false);
            await stream.WriteAsync(
                BusMessage.EncodeCall(GetSerial, Manager, $"/org/freedesktop/systemd1/unit/{SystemdUnit.ToBusPath(unit)}", "org.freedesktop.DBus.Properties", "Get", Manager + ".Unit", property),
                either.Token).ConfigureAwait(false);
            var reply = await ReplyAsync(stream, GetSerial, either.Token).ConfigureAwait(false);
            return BusMessage.TryReadTextVariant(reply.Body, out var text) ? text : throw new SystemBusException($"{socket}: {property} of {unit} is not answered as a text");
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new SystemBusException(patience.IsCancellationRequested ? $"{socket} did not answer within {Timeout.TotalSeconds} s" : $"{socket}: {e.Message}");
        }
    }

    // The kernel tells the bus who connects; this only says that it is so (D-Bus Specification, "Authentication Protocol", EXTERNAL).
    private async Task GreetAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var name = Convert.ToHexStringLower(Encoding.ASCII.GetBytes(uid.ToString(CultureInfo.InvariantCulture)));
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"\0AUTH EXTERNAL {name}\r\n"), cancellationToken).ConfigureAwait(false);
        var line = new byte[MaxLine];
        var length = 0;
        while (length < MaxLine && (length < 2 || line[length - 1] != '\n'))
        {
            await stream.ReadExactlyAsync(line.AsMemory(length, 1), cancellationToken).ConfigureAwait(false);
            length++;
        }

        var answer = Encoding.ASCII.GetString(line, 0, length);
        if (!answer.StartsWith("OK ", StringComparison.Ordinal))
        {
            throw new SystemBusException($"{socket} does not let this agent in: {Printable.Of(answer.TrimEnd())}");
        }

        await stream.WriteAsync("BEGIN\r\n"u8.ToArray(), cancellationToken).ConfigureAwait(false);
    }

    private async Task<BusReply> ReplyAsync(NetworkStream stream, uint serial, CancellationToken cancellationToken)
    {
        for (var others = 0; others <= MaxOthers; others++)
        {
            var head = new byte[BusMessage.HeadLength];
            await stream.ReadExactlyAsync(head, cancellationToken).ConfigureAwait(false);
            if (!BusMessage.TryReadLength(head, out var length))
            {
                throw new SystemBusException($"{socket} does not speak D-Bus as it is understood here");
            }

            var message = new byte[length];
            head.CopyTo(message, 0);
            await stream.ReadExactlyAsync(message.AsMemory(head.Length), cancellationToken).ConfigureAwait(false);
            if (!BusMessage.TryRead(message, out var reply))
            {
                throw new SystemBusException($"{socket} sent a message that is not understood");
            }

            if (reply!.ReplyTo == serial)
            {
                return reply.Error.Length == 0 ? reply : throw new SystemBusException($"{socket} answered {Printable.Of(reply.Error)}");
            }
        }

        throw new SystemBusException($"{socket} sent {MaxOthers} messages that nobody asked for, and no answer");
    }
}
