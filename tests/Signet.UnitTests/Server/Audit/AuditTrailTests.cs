using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Server.Audit;
using Signet.Testing;

namespace Signet.UnitTests.Server.Audit;

public sealed class AuditTrailTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly AnchorStore _store = new();
    private readonly ManualTimeProvider _time = new();

    private string Only => Assert.Single(Directory.GetFiles(_folder.Path));

    [Fact]
    public async Task What_was_written_holds()
    {
        await WriteAsync(50);
        var report = Verify();
        Assert.Empty(report.Findings);
        Assert.Equal(51, report.Records);
        Assert.Equal(_store.Anchors!.Head, report.Head);
    }

    [Fact]
    public async Task The_chain_goes_on_over_restarts()
    {
        await WriteAsync(5);
        await WriteAsync(5);
        var report = Verify();
        Assert.Empty(report.Findings);
        Assert.Equal(12, report.Records);
    }

    [Fact]
    public async Task Anybody_can_check_a_line_with_nothing_but_a_hash_function()
    {
        await WriteAsync(3);
        var before = new string('0', 64);
        foreach (var line in await File.ReadAllLinesAsync(Only))
        {
            var (hash, json) = (line[..64], line[65..]);
            Assert.Equal(hash, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(before + json))));
            before = hash;
        }
    }

    [Fact]
    public async Task A_record_that_was_edited_is_found()
    {
        await WriteAsync(10);
        await ChangeAsync(lines => lines[5] = lines[5].Replace("number 4", "number 9", StringComparison.Ordinal));
        var finding = Assert.Single(Verify().Findings);
        Assert.Equal(6, finding.Sequence);
        Assert.Contains("hash does not hold", finding.Problem);
    }

    [Fact]
    public async Task A_record_that_was_removed_is_found()
    {
        await WriteAsync(10);
        await ChangeAsync(lines => lines.RemoveAt(5));
        Assert.Contains("records between them are missing", Assert.Single(Verify().Findings).Problem);
    }

    [Fact]
    public async Task Records_that_changed_places_are_found()
    {
        await WriteAsync(10);
        await ChangeAsync(lines => (lines[5], lines[6]) = (lines[6], lines[5]));
        Assert.NotEmpty(Verify().Findings);
    }

    [Fact]
    public async Task A_record_that_was_repeated_is_found()
    {
        await WriteAsync(10);
        await ChangeAsync(lines => lines.Insert(5, lines[5]));
        Assert.NotEmpty(Verify().Findings);
    }

    [Fact]
    public async Task A_trail_whose_end_was_cut_off_is_found_by_what_the_store_remembers()
    {
        await WriteAsync(10);
        await ChangeAsync(lines => lines.RemoveRange(7, 4));
        Assert.Contains("its end was cut off", Assert.Single(Verify().Findings).Problem);
    }

    [Fact]
    public async Task A_trail_that_was_written_anew_with_good_hashes_is_found_by_what_the_store_remembers()
    {
        await WriteAsync(10);
        await ChangeAsync(lines =>
        {
            var before = new string('0', 64);
            for (var i = 0; i < lines.Count; i++)
            {
                var json = lines[i][65..].Replace("number 4", "number 9", StringComparison.Ordinal);
                before = AuditLine.Hash(before, Encoding.UTF8.GetBytes(json));
                lines[i] = $"{before} {json}";
            }
        });
        Assert.Contains("written anew", Assert.Single(Verify().Findings).Problem);
    }

    [Fact]
    public async Task A_position_that_somebody_noted_must_still_be_there()
    {
        await WriteAsync(3);
        var noted = _store.Anchors!.Head;
        await WriteAsync(3);
        Assert.Empty(Verify(noted).Findings);
        Assert.NotEmpty(Verify(noted with { Hash = new string('a', 64) }).Findings);
    }

    [Fact]
    public async Task Garbage_among_the_records_is_found()
    {
        await WriteAsync(10);
        await ChangeAsync(lines => lines[4] = "not a record");
        Assert.NotEmpty(Verify().Findings);
        await ChangeAsync(lines => lines[4] = new string('a', AuditLine.MaxLength * 2));
        Assert.NotEmpty(Verify().Findings);
    }

    [Fact]
    public async Task The_last_record_torn_by_a_crash_is_owned_up_to_and_the_chain_goes_on()
    {
        await WriteAsync(5);
        await File.AppendAllTextAsync(Only, $"{new string('a', 64)} {{\"seq\":7,\"ti");
        Assert.True(Verify().Torn > 0);
        Assert.Empty(Verify().Findings);
        await WriteAsync(2);
        var report = Verify();
        Assert.Empty(report.Findings);
        Assert.Equal(0, report.Torn);
        Assert.Contains((await File.ReadAllLinesAsync(Only))[6..], line => line.Contains("\"kind\":\"torn\"", StringComparison.Ordinal));

        await ChangeAsync(lines => lines[6] = lines[6].Replace("\"ti", "\"xx", StringComparison.Ordinal));
        Assert.NotEmpty(Verify().Findings);
    }

    [Fact]
    public async Task A_trail_that_is_shorter_than_the_store_remembers_says_so_for_ever()
    {
        await WriteAsync(10);
        await ChangeAsync(lines => lines.RemoveRange(7, 4));
        await WriteAsync(1);
        Assert.Contains((await File.ReadAllLinesAsync(Only)), line => line.Contains("\"kind\":\"gap\"", StringComparison.Ordinal));
        Assert.Contains("records between them are missing", Assert.Single(Verify().Findings).Problem);
    }

    [Fact]
    public async Task Files_are_changed_at_their_size_old_ones_go_and_what_is_kept_holds()
    {
        var config = new AuditConfig(FileSize: 2_000, KeepFiles: 3);
        await using (var trail = await OpenAsync(config))
        {
            for (var i = 0; i < 100; i++)
            {
                await trail.AppendAsync(Numbered(i), durable: false, CancellationToken.None);
            }
        }

        var report = Verify();
        Assert.Equal(3, AuditFiles.List(_folder.Path).Count);
        Assert.Empty(report.Findings);
        Assert.Equal(101, report.Head.Sequence);
        Assert.True(_store.Anchors!.Start.Sequence > 0);

        File.Delete(AuditFiles.List(_folder.Path)[0].Path);
        Assert.NotEmpty(Verify().Findings);
    }

    [Fact]
    public async Task What_must_be_durable_is_remembered_by_the_store_at_once_and_the_rest_a_second_later()
    {
        await using var trail = await OpenAsync();
        await trail.AppendAsync(Numbered(1), durable: true, CancellationToken.None);
        Assert.Equal(trail.Last, _store.Anchors!.Head);
        await trail.AppendAsync(Numbered(2), durable: false, CancellationToken.None);
        Assert.NotEqual(trail.Last, _store.Anchors!.Head);
        await Eventually.IsTrueAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                return trail.Last == _store.Anchors!.Head;
            },
            "the flush");
    }

    [Fact]
    public async Task Many_at_once_get_numbers_without_gaps()
    {
        await using var trail = await OpenAsync();
        var numbers = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => Task.Run(() => trail.AppendAsync(Numbered(i), i % 50 == 0, CancellationToken.None))));
        Assert.Equal(Enumerable.Range(2, 500).Select(i => (long)i), numbers.Order());
        Assert.Empty(trail.Verify(null).Findings);
    }

    [Fact]
    public async Task When_the_store_cannot_remember_the_record_is_refused_and_later_ones_are_taken_again()
    {
        await using var trail = await OpenAsync();
        _store.Problem = "the disk is full";
        var refused = await Assert.ThrowsAsync<AuditException>(() => trail.AppendAsync(Numbered(1), durable: true, CancellationToken.None));
        Assert.Contains("the disk is full", refused.Message);
        _store.Problem = null;
        await trail.AppendAsync(Numbered(2), durable: true, CancellationToken.None);
        Assert.Empty(trail.Verify(null).Findings);
    }

    [Fact]
    public async Task What_a_peer_wrote_cannot_forge_a_record()
    {
        await using (var trail = await OpenAsync())
        {
            await trail.AppendAsync(
                new AuditEvent { Action = "x\n0000 {\"seq\":9}\u001b[2J", Reason = new string('r', 1_000_000), Objects = [.. Enumerable.Repeat("o\"", 1000)] }, durable: true, CancellationToken.None);
        }

        var lines = await File.ReadAllLinesAsync(Only);
        Assert.Equal(2, lines.Length);
        Assert.True(lines[1].Length < 10_000, $"{lines[1].Length} characters");
        Assert.DoesNotContain('\u001b', lines[1]);
        var record = JsonNode.Parse(lines[1][65..])!;
        Assert.Equal(AuditEvent.MaxObjects + 1, record["objects"]!.AsArray().Count);
        Assert.Equal("and 968 more", record["objects"]!.AsArray()[^1]!.ToString());
        Assert.Empty(Verify().Findings);
    }

    [Fact]
    public async Task A_reader_gets_what_comes_from_where_it_began_across_files()
    {
        var reader = new AuditReader(_folder.Path, after: 3);
        await using var trail = await OpenAsync(new AuditConfig(FileSize: 1_000));
        for (var i = 0; i < 20; i++)
        {
            await trail.AppendAsync(Numbered(i), durable: false, CancellationToken.None);
        }

        Assert.Equal(Enumerable.Range(4, 18).Select(i => (long)i), reader.Read().Select(line => line.Position.Sequence));
        Assert.Empty(reader.Read());
        await trail.AppendAsync(Numbered(20), durable: false, CancellationToken.None);
        Assert.Equal(22, Assert.Single(reader.Read()).Position.Sequence);
    }

    [Fact]
    public async Task The_files_are_for_their_owner_only()
    {
        await WriteAsync(1);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Only));
    }

    [Theory]
    [InlineData("")]
    [InlineData("7")]
    [InlineData("7:abc")]
    [InlineData("-1:0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("1:000000000000000000000000000000000000000000000000000000000000000G")]
    public void A_position_that_is_none_is_explained(string text)
    {
        Assert.False(AuditPosition.TryParse(text, out _, out var problem));
        Assert.Contains("SEQUENCE:HASH", problem);
    }

    public void Dispose() => _folder.Dispose();

    private async Task WriteAsync(int count)
    {
        await using var trail = await OpenAsync();
        for (var i = 0; i < count; i++)
        {
            await trail.AppendAsync(Numbered(i), durable: false, CancellationToken.None);
        }
    }

    private Task<AuditTrail> OpenAsync(AuditConfig? config = null) =>
        AuditTrail.OpenAsync(_folder.Path, config ?? new AuditConfig(), _store, _time, NullLogger<AuditTrail>.Instance, CancellationToken.None);

    private AuditReport Verify(AuditPosition? noted = null) =>
        AuditVerifier.Verify(AuditFiles.List(_folder.Path), _store.Anchors!.Start, noted is null ? [_store.Anchors.Head] : [_store.Anchors.Head, noted]);

    private async Task ChangeAsync(Action<List<string>> change)
    {
        var lines = (await File.ReadAllLinesAsync(Only)).ToList();
        change(lines);
        await File.WriteAllTextAsync(Only, string.Concat(lines.Select(line => line + "\n")));
    }

    private static AuditEvent Numbered(int number) => new() { Action = "test", Caller = "somebody", Reason = $"number {number}" };

    private sealed class AnchorStore : IAuditAnchorStore
    {
        public AuditAnchors? Anchors { get; private set; }

        public string? Problem { get; set; }

        public Task<AuditAnchors?> LoadAsync(CancellationToken cancellationToken) => Task.FromResult(Anchors);

        public Task SaveAsync(AuditAnchors anchors, CancellationToken cancellationToken)
        {
            Anchors = Problem is null ? anchors : throw new Signet.Server.Storage.StoreException(Signet.Server.Storage.StoreProblem.Full, Problem);
            return Task.CompletedTask;
        }
    }
}
