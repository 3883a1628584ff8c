using Signet.Authority.Issuance;
using Signet.Authority.Rotation;

namespace Signet.UnitTests.Authority;

/// <summary>A journal and a log that remember as long as the test lives, and fail or "crash" when told to.</summary>
internal sealed class MemoryJournal : IAuthorityJournal, IIssuanceLog
{
    private string _content = "";
    private ulong _sequence;

    public AuthorityLedger Ledger { get; private set; } = AuthorityLedger.Empty;

    public IReadOnlyList<AuthorityRecord> Records => Ledger.Records;

    public List<IssuedCertificate> Issued { get; } = [];

    /// <summary>Nothing is remembered any more.</summary>
    public bool Broken { get; set; }

    /// <summary>The next commit is durable, but whoever made it does not live to hear of it.</summary>
    public bool CrashesAfterCommit { get; set; }

    public Task<AuthorityLedger> LoadAsync(CancellationToken cancellationToken) => Task.FromResult(Ledger);

    public Task<ulong> CommitAsync(AuthorityChange change, string content, CancellationToken cancellationToken)
    {
        Fail(Broken);
        var after = Ledger.After(change);
        Assert.Equal(after.Content, content);
        Ledger = after;
        _sequence += content == _content ? 0UL : 1;
        _content = content;
        Fail(CrashesAfterCommit);
        return Task.FromResult(_sequence);
    }

    public Task AppendAsync(IReadOnlyList<IssuedCertificate> issued, CancellationToken cancellationToken)
    {
        Fail(Broken);
        Issued.AddRange(issued);
        return Task.CompletedTask;
    }

    private static void Fail(bool when)
    {
        if (when)
        {
            throw new IOException("no space left");
        }
    }
}
