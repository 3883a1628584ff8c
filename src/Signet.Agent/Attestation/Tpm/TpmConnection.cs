using System.Net.Sockets;
using Signet.Rpc.Wire.Attestation.Tpm;

namespace Signet.Agent.Attestation.Tpm;

/// <summary>
/// Speaks with a TPM: a command, then its response (TPM 2.0 Library, Part 1, §18). The TPM is a device such as <c>/dev/tpmrm0</c>, where the kernel keeps everybody's keys apart, or a
/// software TPM behind a Unix socket. Blocking, since the device is; one thread at a time; whoever opens it disposes it.
/// </summary>
internal sealed class TpmConnection : IDisposable
{
    /// <summary>What the kernel takes and gives at most, in bytes.</summary>
    public const int MaxLength = 4096;

    public const uint PasswordSession = 0x40000009;

    private const int HeadLength = 10;
    private const ushort NoSessions = 0x8001, Sessions = 0x8002;
    private const uint Retry = 0x922;
    private const int MaxTries = 10;
    private const string SocketPrefix = "unix:";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Stream _stream;
    private readonly string _name;

    private TpmConnection(Stream stream, string name) => (_stream, _name) = (stream, name);

    /// <exception cref="AttestationException">It is not there, or may not be used.</exception>
    public static TpmConnection Open(string device)
    {
        try
        {
            return new TpmConnection(device.StartsWith(SocketPrefix, StringComparison.Ordinal) ? Connect(device[SocketPrefix.Length..]) : new FileStream(device, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0), device);
        }
        catch (Exception e) when (e is IOException or SocketException or UnauthorizedAccessException)
        {
            throw new AttestationException($"the TPM {device} cannot be opened: {e.Message}; the agent's user must be in the group that owns it");
        }
    }

    /// <summary>Runs a command.</summary>
    /// <param name="what">What it is for, for people.</param>
    /// <param name="code">Which.</param>
    /// <param name="handles">What it works on.</param>
    /// <param name="sessions">How it is authorised: each a session or <see cref="PasswordSession"/>, with the password.</param>
    /// <param name="parameters">The rest.</param>
    /// <param name="givesHandle">Whether the response begins with a handle.</param>
    /// <returns>The handle, or 0, and the rest of the response.</returns>
    /// <exception cref="AttestationException">The TPM refused, or broke off.</exception>
    public (uint Handle, byte[] Answer) Run(string what, uint code, ReadOnlySpan<uint> handles, IReadOnlyList<(uint Session, byte[] Password)> sessions, TpmWriter parameters, bool givesHandle = false)
    {
        var body = new TpmWriter();
        foreach (var handle in handles)
        {
            body.Long(handle);
        }

        if (sessions.Count > 0)
        {
            var area = new TpmWriter();
            foreach (var (session, password) in sessions)
            {
                area.Long(session).Sized([]).Byte(0).Sized(password);
            }

            body.Long((uint)area.ToArray().Length).Raw(area.ToArray());
        }

        var rest = body.Raw(parameters.ToArray()).ToArray();
        var command = new TpmWriter().Short(sessions.Count > 0 ? Sessions : NoSessions).Long((uint)(HeadLength + rest.Length)).Long(code).Raw(rest).ToArray();

        for (var tries = 1; ; tries++)
        {
            var reader = new TpmReader(Exchange(what, command));
            var tag = reader.Short();
            reader.Long();
            var result = reader.Long();
            if (result == 0)
            {
                var given = givesHandle ? reader.Long() : 0;
                var answer = tag == Sessions ? reader.Take((int)Math.Min(reader.Long(), MaxLength)) : reader.Rest;
                return reader.IsGood ? (given, answer.ToArray()) : throw Broken(what);
            }

            // It did not begin, and says that the same command may come again at once. Where it needs time for that, the kernel waits.
            if (result != Retry || tries == MaxTries)
            {
                throw new AttestationException($"the TPM {_name} refused {what}: TPM_RC 0x{result:X3}{Explain(result)}");
            }
        }
    }

    public void Dispose() => _stream.Dispose();

    private byte[] Exchange(string what, byte[] command)
    {
        try
        {
            _stream.Write(command);
            var response = new byte[MaxLength];
            var length = 0;
            while (length < HeadLength || length < Announced(response))
            {
                // The device gives all of it at once, or nothing of it to whoever asks for a part.
                var read = _stream.Read(response, length, response.Length - length);
                length += read > 0 ? read : throw Broken(what);
            }

            return length == Announced(response) ? response[..length] : throw Broken(what);
        }
        catch (IOException e)
        {
            throw new AttestationException($"the TPM {_name} broke off {what}: {e.Message}");
        }
    }

    private AttestationException Broken(string what) => new($"the TPM {_name} answered {what} with something that is no response");

    private static int Announced(byte[] response)
    {
        var reader = new TpmReader(response);
        reader.Short();
        return (int)Math.Min(reader.Long(), MaxLength + 1);
    }

    // Part 2, §6.6. A response about a handle, session or parameter tells in the bits between which one; the reason stands in the lowest.
    private static string Explain(uint result) => (result & 0xBF) switch
    {
        0x8E or 0xA2 => ", a password is wrong",
        0x8B => ", what is asked for is not there",
        0x9F => ", a key does not belong to this TPM or was damaged",
        _ => result == 0x921 ? ", it is locked after too many wrong passwords" : "",
    };

    private static NetworkStream Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            socket.ReceiveTimeout = (int)Patience.TotalMilliseconds;
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
