namespace Signet.Identity.X509;

/// <summary>Certificates as the Workload API sends them: DER after DER, nothing between (SPIFFE Workload API §5.2.1). Thread-safe.</summary>
public static class CertificateList
{
    /// <summary>How many certificates a list may hold.</summary>
    public const int MaxCertificates = 10_000;

    /// <summary>Reads one certificate after the other; an empty list is no error.</summary>
    /// <param name="concatenatedDer">The encodings; they are kept, not copied.</param>
    /// <param name="certificates">The certificates in order, when the answer is true; otherwise empty.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryParse(ReadOnlyMemory<byte> concatenatedDer, out IReadOnlyList<Certificate> certificates, out string problem)
    {
        certificates = [];
        problem = "";
        var found = new List<Certificate>();
        for (var rest = concatenatedDer; !rest.IsEmpty;)
        {
            if (found.Count == MaxCertificates)
            {
                problem = $"the list has more than {MaxCertificates} certificates";
                return false;
            }

            if (!System.Formats.Asn1.AsnDecoder.TryReadEncodedValue(rest.Span, System.Formats.Asn1.AsnEncodingRules.DER, out _, out _, out _, out var length)
                || !Certificate.TryParse(rest[..length], out var certificate, out problem))
            {
                problem = $"certificate {found.Count + 1} of the list: {(problem.Length > 0 ? problem : "it is not complete DER")}";
                return false;
            }

            found.Add(certificate);
            rest = rest[length..];
        }

        certificates = found;
        return true;
    }

    public static byte[] Encode(params IEnumerable<Certificate> certificates)
    {
        var bytes = new System.Buffers.ArrayBufferWriter<byte>();
        foreach (var certificate in certificates)
        {
            System.Buffers.BuffersExtensions.Write(bytes, certificate.Der.Span);
        }

        return bytes.WrittenSpan.ToArray();
    }
}
