using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Handover.Wire;

/// <summary>
/// What two proxies say to each other while one follows the other. The numbers are fixed for ever; a new kind of frame needs a new
/// <see cref="Version"/>.
/// </summary>
/// <remarks>
/// <code>
/// frame    = kind (1 octet) length (2 octets, network order) body
/// hello    = %x01 0x0011 "signet-handover" version (2 octets) ; the successor, first of all
/// offer    = %x02 0x0005 isLast (1 octet, 0 or 1) pid (4)     ; with 0 to 64 listening sockets (SCM_RIGHTS)
/// takeOver = %x03 0x0000                                      ; the successor is ready to serve
/// yours    = %x04 0x0000                                      ; nobody accepts until the successor does
/// serving  = %x05 0x0000                                      ; the successor accepts
/// refusal  = %x06 length reason                               ; UTF-8, at most 512 octets; the last frame
/// </code>
/// </remarks>
internal abstract record HandoverFrame
{
    /// <summary>Of this conversation; the running process refuses others.</summary>
    public const int Version = 1;

    /// <summary>Kind and length.</summary>
    public const int HeadLength = 3;

    /// <summary>No frame is longer.</summary>
    public const int MaxBody = 512;

    /// <summary>Sockets in one offer; the kernel's limit is 253.</summary>
    public const int MaxSockets = 64;

    /// <summary>Offers in a row: what fits the socket's buffer whether or not the successor reads.</summary>
    public const int MaxOffers = 16;

    private HandoverFrame()
    {
    }

    private static ReadOnlySpan<byte> Name => "signet-handover"u8;

    public sealed record Hello(int Speaks) : HandoverFrame;

    public sealed record Offer(bool IsLast, int Pid) : HandoverFrame;

    public sealed record TakeOver : HandoverFrame;

    public sealed record Yours : HandoverFrame;

    public sealed record Serving : HandoverFrame;

    /// <param name="Reason">For the operator of the other process.</param>
    public sealed record Refusal(string Reason) : HandoverFrame;

    /// <summary>Reads a frame's head: how long its body is. Never throws.</summary>
    public static bool TryReadHead(ReadOnlySpan<byte> head, out int bodyLength, out string problem)
    {
        bodyLength = head.Length < HeadLength ? 0 : BinaryPrimitives.ReadUInt16BigEndian(head[1..]);
        problem = head.Length < HeadLength ? "a frame's head is cut short"
            : head[0] is 0 or > 6 ? $"there is no frame of kind {head[0]}"
            : bodyLength > MaxBody ? $"a frame of {bodyLength} octets; the limit is {MaxBody}"
            : "";
        return problem.Length == 0;
    }

    /// <summary>Reads a whole frame, neither more nor less. Never throws.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out HandoverFrame? frame, out string problem)
    {
        frame = null;
        if (!TryReadHead(bytes, out var length, out problem))
        {
            return false;
        }

        var body = bytes[HeadLength..];
        frame = body.Length != length ? null : (bytes[0], length) switch
        {
            (1, 17) when body.StartsWith(Name) => new Hello(BinaryPrimitives.ReadUInt16BigEndian(body[Name.Length..])),
            (2, 5) when body[0] <= 1 && BinaryPrimitives.ReadInt32BigEndian(body[1..]) is > 0 and var pid => new Offer(body[0] == 1, pid),
            (3, 0) => new TakeOver(),
            (4, 0) => new Yours(),
            (5, 0) => new Serving(),
            (6, _) => new Refusal(Printable.Of(Encoding.UTF8.GetString(body))),
            _ => null,
        };
        problem = frame is null ? $"a frame of kind {bytes[0]} with {body.Length} octets cannot be read" : "";
        return frame is not null;
    }

    /// <summary>The frame's octets.</summary>
    public byte[] Write()
    {
        var bytes = new byte[HeadLength + MaxBody];
        var body = bytes.AsSpan(HeadLength);
        var (kind, length) = (0, 0);
        switch (this)
        {
            case Hello hello:
                (kind, length) = (1, Name.Length + sizeof(ushort));
                Name.CopyTo(body);
                BinaryPrimitives.WriteUInt16BigEndian(body[Name.Length..], (ushort)hello.Speaks);
                break;
            case Offer offer:
                (kind, length) = (2, 1 + sizeof(int));
                body[0] = (byte)(offer.IsLast ? 1 : 0);
                BinaryPrimitives.WriteInt32BigEndian(body[1..], offer.Pid);
                break;
            case TakeOver:
                kind = 3;
                break;
            case Yours:
                kind = 4;
                break;
            case Serving:
                kind = 5;
                break;
            case Refusal refusal:
                kind = 6;
                Encoding.UTF8.TryGetBytes(refusal.Reason.AsSpan(0, Math.Min(refusal.Reason.Length, MaxBody / 3)), body, out length);
                break;
        }

        bytes[0] = (byte)kind;
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(1), (ushort)length);
        return bytes[..(HeadLength + length)];
    }
}
