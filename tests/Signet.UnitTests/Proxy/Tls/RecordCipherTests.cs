using Signet.Proxy.Tls;

namespace Signet.UnitTests.Proxy.Tls;

/// <summary>Against the traces of RFC 8448 §3, which others computed.</summary>
public sealed class RecordCipherTests
{
    private const string ClientSecret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
    private const string ServerSecret = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

    private const string ClientPayload =
        "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";

    private const string ServerPayload =
        "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";

    private const string ClientAlert = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
    private const string ServerAlert = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";

    private static readonly RecordSuite s_suite = RecordSuite.Find("TLS_AES_128_GCM_SHA256")!;
    private static readonly byte[] s_payload = [.. Enumerable.Range(0, 50).Select(i => (byte)i)];

    [Theory]
    [InlineData(ClientSecret, 0, ClientPayload, false)]
    [InlineData(ClientSecret, 1, ClientAlert, true)]
    [InlineData(ServerSecret, 1, ServerPayload, false)]
    [InlineData(ServerSecret, 2, ServerAlert, true)]
    public void The_records_of_the_RFC_are_written_and_read(string secret, ulong sequence, string record, bool isAlert)
    {
        var (payload, type) = isAlert ? ([1, 0], ContentType.Alert) : (s_payload, ContentType.ApplicationData);
        using var sending = RecordCipher.ForSending(s_suite, Convert.FromHexString(secret), sequence);
        Assert.Equal(record, Convert.ToHexStringLower(Seal(sending, payload, type)));

        using var receiving = RecordCipher.ForReceiving(s_suite, Convert.FromHexString(secret), sequence);
        Assert.Equal((true, type), Open(receiving, Convert.FromHexString(record), out var opened));
        Assert.Equal(payload, opened);
        Assert.Equal((sequence + 1, sequence + 1), (sending.Sequence, receiving.Sequence));
    }

    [Fact]
    public void The_next_key_is_another_and_both_sides_have_it()
    {
        using var sending = Sending(0);
        using var receiving = Receiving(0);
        var before = Seal(sending, s_payload, ContentType.ApplicationData);
        sending.Update();
        var after = Seal(sending, s_payload, ContentType.ApplicationData);

        Assert.NotEqual(before, after);
        Assert.True(Open(receiving, before, out _).IsGenuine);
        receiving.Update();
        Assert.True(Open(receiving, after, out var opened).IsGenuine);
        Assert.Equal(s_payload, opened);
        using var old = Receiving(0);
        Assert.False(Open(old, after, out _).IsGenuine);
    }

    [Fact]
    public void A_record_that_was_touched_anywhere_is_not_genuine()
    {
        var record = Convert.FromHexString(ClientPayload);
        for (var i = 0; i < record.Length; i++)
        {
            using var receiving = Receiving(0);
            var touched = (byte[])record.Clone();
            touched[i] ^= 0x40;
            Assert.False(Open(receiving, touched, out _).IsGenuine);
        }
    }

    [Fact]
    public void A_record_out_of_turn_is_not_genuine()
    {
        using var receiving = Receiving(1);
        Assert.False(Open(receiving, Convert.FromHexString(ClientPayload), out _).IsGenuine);
    }

    [Theory]
    [InlineData(23, 0, 40)]
    [InlineData(23, 20, 40)]
    [InlineData(21, 2, 1)]
    [InlineData(0, 0, 40)]
    public void Padding_is_taken_off(byte type, int count, int padding)
    {
        // What is sealed as content and type is, to the receiver, content, type and padding.
        using var sending = Sending(0);
        using var receiving = Receiving(0);
        byte[] inner = [.. s_payload.Take(count), type, .. new byte[padding - 1]];
        var record = Seal(sending, inner, type: 0);

        Assert.Equal((true, (ContentType)type), Open(receiving, record, out var opened));
        Assert.Equal(s_payload.Take(count), opened);
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("17030300", 0)]
    [InlineData("1703030010", -1)]
    [InlineData("1703030011", 22)]
    [InlineData("1703034011", RecordCipher.MaxRecord)]
    [InlineData("170303ffff", 65_540)]
    [InlineData("1603030020", -1)]
    [InlineData("1403030001", -1)]
    [InlineData("1503030013", -1)]
    public void The_size_of_a_protected_record_is_read_from_its_header(string header, int size) =>
        Assert.Equal(size, RecordCipher.SizeOfFirst(Convert.FromHexString(header)));

    [Fact]
    public void A_key_is_worn_before_the_margin_of_its_cipher_is_used_up()
    {
        using var sending = Sending((1UL << 24) - 1);
        Assert.False(sending.IsWorn);
        Seal(sending, s_payload, ContentType.ApplicationData);
        Assert.True(sending.IsWorn);
        sending.Update();
        Assert.False(sending.IsWorn);
    }

    [Fact]
    public void No_number_is_used_twice()
    {
        using var sending = Sending(ulong.MaxValue - 1);
        Seal(sending, s_payload, ContentType.ApplicationData);
        Assert.Throws<IOException>(() => Seal(sending, s_payload, ContentType.ApplicationData));
        Assert.Equal(ulong.MaxValue, sending.Sequence);
    }

    private static RecordCipher Sending(ulong sequence) => RecordCipher.ForSending(s_suite, Convert.FromHexString(ClientSecret), sequence);

    private static RecordCipher Receiving(ulong sequence) => RecordCipher.ForReceiving(s_suite, Convert.FromHexString(ClientSecret), sequence);

    internal static unsafe byte[] Seal(RecordCipher cipher, byte[] payload, ContentType type)
    {
        var record = new byte[payload.Length + RecordCipher.Overhead];
        fixed (byte* room = record)
        {
            Assert.Equal(record.Length, cipher.Seal(payload, type, room));
        }

        return record;
    }

    internal static unsafe (bool IsGenuine, ContentType Type) Open(RecordCipher cipher, byte[] record, out byte[] payload)
    {
        var room = new byte[record.Length];
        fixed (byte* into = room)
        {
            var isGenuine = cipher.TryOpen(record, into, out var count, out var type);
            payload = room[..count];
            return (isGenuine, type);
        }
    }
}
