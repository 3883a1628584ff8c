using System.Formats.Asn1;
using System.Text;
using Signet.Hosting.Configuration;
using Signet.Rpc.Wire.Attestation.Tpm;

namespace Signet.Agent.Attestation.Tpm;

/// <summary>
/// A device's key in a TPM, with an attestation key and the endorsement key beside it, for one attestation (TPM 2.0 Library, Part 3). What it loads goes when it is disposed. Blocking; one
/// thread at a time.
/// </summary>
internal sealed class TpmDevice : IDisposable
{
    private const uint Owner = 0x40000001, NullHierarchy = 0x40000007, EndorsementHierarchy = 0x4000000B;

    /// <summary>Where makers put the certificate of the RSA endorsement key (TCG PC Client Platform, "TPM Profile").</summary>
    private const uint EndorsementCertificateIndex = 0x01C00002;

    private const uint CreatePrimary = 0x131, ActivateCredential = 0x147, Certify = 0x148, NvRead = 0x14E, PolicySecret = 0x151, Create = 0x153, Load = 0x157, SignDigest = 0x15D, Flush = 0x165, NvReadPublic = 0x169,
        StartSession = 0x176, Hash = 0x17D;

    private const byte PolicySession = 1;
    private const int MaxNvPart = 512, MaxCertificateLength = 8 * 1024, SessionNonceLength = 16;

    private readonly TpmConnection _tpm;
    private readonly Passwords _passwords;
    private readonly List<uint> _loaded = [];

    private TpmDevice(TpmConnection tpm, Passwords passwords) => (_tpm, _passwords) = (tpm, passwords);

    /// <param name="Owner">Of the owner's hierarchy.</param>
    /// <param name="Endorsement">Of the endorsement hierarchy.</param>
    /// <param name="Key">Of the device's key.</param>
    internal sealed record Passwords(byte[] Owner, byte[] Endorsement, byte[] Key)
    {
        public static Passwords Of(Secret? owner, Secret? endorsement, Secret? key) => new(Bytes(owner), Bytes(endorsement), Bytes(key));

        private static byte[] Bytes(Secret? secret) => Encoding.UTF8.GetBytes(secret?.Reveal() ?? "");
    }

    public TpmPublic DevId { get; private set; } = null!;

    public byte[] EndorsementPublic { get; private set; } = [];

    public byte[] AttestationPublic { get; private set; } = [];

    private uint DevIdHandle { get; set; }

    private uint EndorsementHandle { get; set; }

    private uint AttestationHandle { get; set; }

    /// <summary>Loads the device's key, and makes the two others.</summary>
    /// <param name="device">The TPM.</param>
    /// <param name="publicBlob">The public half of the device's key, as the TPM gave it out.</param>
    /// <param name="privateBlob">The private half, which only the TPM can open.</param>
    /// <param name="passwords">What the TPM asks for.</param>
    /// <exception cref="AttestationException">The TPM cannot be used, or refuses.</exception>
    public static TpmDevice Open(string device, byte[] publicBlob, byte[] privateBlob, Passwords passwords)
    {
        if (!TpmPublic.TryRead(publicBlob, out var devId, out var problem) || !devId.Has(TpmWords.Sign))
        {
            throw new AttestationException($"the public half of the device's key cannot be used: {(problem.Length > 0 ? problem : "the key may not sign")}");
        }

        var opened = new TpmDevice(TpmConnection.Open(device), passwords) { DevId = devId };
        try
        {
            opened.LoadKeys(WithoutLength(privateBlob));
            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>The certificate that the TPM's maker put there.</summary>
    public byte[] ReadEndorsementCertificate()
    {
        var facts = new TpmReader(_tpm.Run("the endorsement certificate's place", NvReadPublic, [EndorsementCertificateIndex], [], new TpmWriter()).Answer);
        var place = new TpmReader(facts.Sized());
        place.Long();
        place.Short();
        place.Long();
        place.Sized();
        int length = place.Short();
        if (!place.IsWhole || length is 0 or > MaxCertificateLength)
        {
            throw new AttestationException($"the TPM's endorsement certificate is {length} bytes long; 1 to {MaxCertificateLength} were expected");
        }

        var read = new List<byte>();
        while (read.Count < length)
        {
            var part = new TpmReader(Run("the endorsement certificate", NvRead, [EndorsementCertificateIndex, EndorsementCertificateIndex], [[]], new TpmWriter().Short((ushort)Math.Min(MaxNvPart, length - read.Count)).Short((ushort)read.Count))).Sized();
            read.AddRange(part.Length > 0 ? part : throw new AttestationException("the TPM's endorsement certificate ends too early"));
        }

        // Some makers fill up what is left of the place.
        try
        {
            AsnDecoder.ReadEncodedValue(read.ToArray(), AsnEncodingRules.DER, out _, out _, out var whole);
            return [.. read.Take(whole)];
        }
        catch (AsnContentException)
        {
            throw new AttestationException("what stands where the TPM's endorsement certificate should is none");
        }
    }

    /// <summary>What the TPM says of the device's key, and its attestation key's signature of that.</summary>
    public (byte[] Statement, byte[] Signature) CertifyDevId()
    {
        var answer = new TpmReader(Run("to certify the device's key", Certify, [DevIdHandle, AttestationHandle], [_passwords.Key, []], new TpmWriter().Sized([]).Short(TpmWords.Null)));
        var statement = answer.Sized().ToArray();
        return (statement, answer.Rest.ToArray());
    }

    /// <summary>Opens what was sealed for this TPM while it holds the attestation key.</summary>
    public byte[] Activate(byte[] credential, byte[] seed)
    {
        var started = _tpm.Run("a session", StartSession, [NullHierarchy, NullHierarchy], [], new TpmWriter().Sized(new byte[SessionNonceLength]).Sized([]).Byte(PolicySession).Short(TpmWords.Null).Short(TpmWords.Sha256), givesHandle: true);
        _loaded.Add(started.Handle);
        Run("the endorsement hierarchy's password", PolicySecret, [EndorsementHierarchy, started.Handle], [_passwords.Endorsement], new TpmWriter().Sized([]).Sized([]).Sized([]).Long(0));
        var (_, answer) = _tpm.Run(
            "to activate the credential", ActivateCredential, [AttestationHandle, EndorsementHandle], [(TpmConnection.PasswordSession, []), (started.Handle, [])], new TpmWriter().Sized(credential).Sized(seed));

        // A session that authorised a command is gone with it.
        _loaded.Remove(started.Handle);
        return new TpmReader(answer).Sized().ToArray();
    }

    /// <summary>Signs with the device's key: RSASSA as it is, ECDSA as X.509 has it.</summary>
    public byte[] Sign(byte[] data)
    {
        // The TPM hashes it itself, so that a restricted key signs it too.
        var hash = DevId.Scheme == TpmWords.Null ? TpmWords.Sha256 : DevId.SchemeHash;
        var (_, hashed) = _tpm.Run("to hash the nonce", Hash, [], [], new TpmWriter().Sized(data).Short(hash).Long(Owner));
        var reader = new TpmReader(hashed);
        var digest = reader.Sized();
        var parameters = new TpmWriter().Sized(digest);
        _ = DevId.Scheme != TpmWords.Null ? parameters.Short(TpmWords.Null) : parameters.Short(DevId.Type == TpmWords.Rsa ? TpmWords.RsaSsa : TpmWords.Ecdsa).Short(hash);
        var signature = new TpmReader(Run("to sign with the device's key", SignDigest, [DevIdHandle], [_passwords.Key], parameters.Raw(reader.Rest)));
        signature.Short();
        signature.Short();
        var first = signature.Sized();
        if (DevId.Type == TpmWords.Rsa)
        {
            return first.ToArray();
        }

        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteIntegerUnsigned(first.TrimStart((byte)0));
            writer.WriteIntegerUnsigned(signature.Sized().TrimStart((byte)0));
        }

        return writer.Encode();
    }

    public void Dispose()
    {
        try
        {
            foreach (var handle in _loaded)
            {
                _tpm.Run("to forget a key", Flush, [], [], new TpmWriter().Long(handle));
            }
        }
        catch (AttestationException)
        {
            // The kernel forgets what a connection loaded when it is closed.
        }
        finally
        {
            _tpm.Dispose();
        }
    }

    private void LoadKeys(byte[] privateBlob)
    {
        var storage = Primary("the storage root key", Owner, _passwords.Owner, DevId.Type == TpmWords.Rsa ? TpmTemplates.RsaStorage : TpmTemplates.EcStorage);
        DevIdHandle = LoadBelow(storage.Handle, "the device's key", DevId.Encoded.ToArray(), privateBlob);
        var made = new TpmReader(Run("to make an attestation key", Create, [storage.Handle], [[]], Making(TpmTemplates.Attestation)));
        var attestationPrivate = made.Sized().ToArray();
        AttestationPublic = made.Sized().ToArray();
        AttestationHandle = LoadBelow(storage.Handle, "the attestation key", AttestationPublic, attestationPrivate);
        Forget(storage.Handle);
        (EndorsementHandle, EndorsementPublic) = Primary("the endorsement key", EndorsementHierarchy, _passwords.Endorsement, TpmTemplates.Endorsement);
    }

    private (uint Handle, byte[] Public) Primary(string what, uint hierarchy, byte[] password, byte[] template)
    {
        var (handle, answer) = _tpm.Run(what, CreatePrimary, [hierarchy], [(TpmConnection.PasswordSession, password)], Making(template), givesHandle: true);
        _loaded.Add(handle);
        return (handle, new TpmReader(answer).Sized().ToArray());
    }

    private uint LoadBelow(uint parent, string what, byte[] publicHalf, byte[] privateHalf)
    {
        var handle = _tpm.Run($"to load {what}", Load, [parent], [(TpmConnection.PasswordSession, [])], new TpmWriter().Sized(privateHalf).Sized(publicHalf), givesHandle: true).Handle;
        _loaded.Add(handle);
        return handle;
    }

    // No password, no data, no PCRs: what is made lasts for one attestation, or is made alike each time.
    private static TpmWriter Making(byte[] template) => new TpmWriter().Sized(new TpmWriter().Sized([]).Sized([]).ToArray()).Sized(template).Sized([]).Long(0);

    private void Forget(uint handle)
    {
        _tpm.Run("to forget a key", Flush, [], [], new TpmWriter().Long(handle));
        _loaded.Remove(handle);
    }

    private byte[] Run(string what, uint code, ReadOnlySpan<uint> handles, IReadOnlyList<byte[]> passwords, TpmWriter parameters) =>
        _tpm.Run(what, code, handles, [.. passwords.Select(password => (TpmConnection.PasswordSession, password))], parameters).Answer;

    // Tools write the length before it, libraries do not.
    private static byte[] WithoutLength(byte[] blob) => blob.Length >= 2 && (blob[0] << 8 | blob[1]) == blob.Length - 2 ? blob[2..] : blob;
}
