/// Names of scripts that `java.lang.Character.UnicodeScript.forName` knows (Unicode 16), in lower
/// case: Java takes any case, but wants the underscores.
const NAMES: &str = "\
    adlam ahom anatolian_hieroglyphs arabic armenian avestan balinese bamum bassa_vah batak \
    bengali bhaiksuki bopomofo brahmi braille buginese buhid canadian_aboriginal carian \
    caucasian_albanian chakma cham cherokee chorasmian common coptic cuneiform cypriot \
    cypro_minoan cyrillic deseret devanagari dives_akuru dogra duployan egyptian_hieroglyphs \
    elbasan elymaic ethiopic garay georgian glagolitic gothic grantha greek gujarati \
    gunjala_gondi gurmukhi gurung_khema han hangul hanifi_rohingya hanunoo hatran hebrew \
    hiragana imperial_aramaic inherited inscriptional_pahlavi inscriptional_parthian javanese \
    kaithi kannada katakana kawi kayah_li kharoshthi khitan_small_script khmer khojki khudawadi \
    kirat_rai lao latin lepcha limbu linear_a linear_b lisu lycian lydian mahajani makasar \
    malayalam mandaic manichaean marchen masaram_gondi medefaidrin meetei_mayek mende_kikakui \
    meroitic_cursive meroitic_hieroglyphs miao modi mongolian mro multani myanmar nabataean \
    nag_mundari nandinagari newa new_tai_lue nko nushu nyiakeng_puachue_hmong ogham \
    old_hungarian old_italic old_north_arabian old_permic old_persian old_sogdian \
    old_south_arabian old_turkic old_uyghur ol_chiki ol_onal oriya osage osmanya pahawh_hmong \
    palmyrene pau_cin_hau phags_pa phoenician psalter_pahlavi rejang runic samaritan saurashtra \
    sharada shavian siddham signwriting sinhala sogdian sora_sompeng soyombo sundanese sunuwar \
    syloti_nagri syriac tagalog tagbanwa tai_le tai_tham tai_viet takri tamil tangsa tangut \
    telugu thaana thai tibetan tifinagh tirhuta todhri toto tulu_tigalari ugaritic unknown vai \
    vithkuqi wancho warang_citi yezidi yi zanabazar_square";

/// Their ISO 15924 codes, in lower case.
const CODES: &str = "\
    adlm aghb arab armi armn avst bali bamu bass batk beng bhks bopo brah brai bugi buhd cakm \
    cans cari cher chrs copt cpmn cprt cyrl deva diak dogr dsrt dupl egyp elba elym ethi gara \
    geor glag gong gonm goth gran grek gujr gukh guru hang hani hano hatr hebr hira hluw hmng \
    hmnp hung ital java kali kana khar khmr khoj kits knda krai kthi lana laoo latn lepc limb \
    lina linb lyci lydi mahj maka mand mani marc medf mend merc mero mlym mong mroo mtei mult \
    mymr nagm nand narb nbat nkoo nshu ogam olck onao orkh orya osge osma ougr palm pauc perm \
    phag phli phlp phnx plrd prti rjng rohg runr samr sarb saur sgnw shaw shrd sidd sind sinh \
    sogd sogo sora soyo sund sunu sylo syrc tagb takr tale talu taml tang tavt telu tfng tglg \
    thaa tibt tirh tnsa todr tutg ugar vaii vith wara wcho xpeo xsux yezi yiii zanb zinh zyyy \
    zzzz";

/// Whether Java knows a script by this name or code.
pub(super) fn is_script(name: &str) -> bool {
    NAMES
        .split_ascii_whitespace()
        .chain(CODES.split_ascii_whitespace())
        .any(|known| known.eq_ignore_ascii_case(name))
}
