using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Rpc.Protocol;

namespace Signet.UnitTests.Rpc.Protocol;

public sealed class StatusMessageTests
{
    [Theory]
    [InlineData("plain text, unchanged!", "plain text, unchanged!")]
    [InlineData("100%", "100%25")]
    [InlineData("a\r\nb", "a%0D%0Ab")]
    [InlineData("ö", "%C3%B6")]
    [InlineData("🙅", "%F0%9F%99%85")]
    public void Encodes_what_a_header_can_not_carry(string text, string encoded)
    {
        Assert.Equal(encoded, StatusMessage.Encode(text));
        Assert.Equal(text, StatusMessage.Decode(encoded));
    }

    [Theory]
    [InlineData("%", "%")]
    [InlineData("%4", "%4")]
    [InlineData("%zz", "%zz")]
    [InlineData("%+1", "%+1")]
    [InlineData("a%41", "aA")]
    [InlineData("%ff", "\uFFFD")]
    public void Decodes_even_what_is_no_encoding(string encoded, string text) => Assert.Equal(text, StatusMessage.Decode(encoded));

    [Fact]
    public void What_is_encoded_is_ascii_and_decodes_to_itself() => Prop.ForAll<string>(text =>
    {
        var whole = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text ?? ""));
        whole = whole.Length > StatusMessage.MaxLength / 2 ? whole[..(StatusMessage.MaxLength / 2)] : whole;
        whole = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(whole));
        var encoded = StatusMessage.Encode(whole);
        return encoded.All(c => c is >= ' ' and <= '~') && StatusMessage.Decode(encoded) == whole;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Never_throws() => Prop.ForAll<string>(text => StatusMessage.Decode(text ?? "") is not null).QuickCheckThrowOnFailure();

    [Fact]
    public void Cuts_a_text_that_no_header_would_hold_and_no_character_in_two()
    {
        Assert.Equal(StatusMessage.MaxLength, StatusMessage.Decode(StatusMessage.Encode(new string('x', 100_000))).Length);
        var cut = StatusMessage.Decode(StatusMessage.Encode("x" + string.Concat(Enumerable.Repeat("🙅", 1000))));
        Assert.DoesNotContain('\uFFFD', cut);
        Assert.EndsWith("🙅", cut, StringComparison.Ordinal);
    }
}
