"""Coarse words and slurs, so that texts holding one are left out. Spelt in rot13, so that nobody has to read them."""
import codecs
import re

# Any word that begins with one of these ...
_BEGIN = """shpx shx fuvg ovgpu phag pbpxf pbpxu qvpx chffl chffvrf nffubyr nffung onfgneq juber fyhg snttbg snttl sntf avtt
erggneq ergneq genaavr genaal qlxr xvxr puvax fcvpf jrgonpx phzf phzzvat wvmm cbea oybjwbo gjng jnax cevpxf obbo gvggvr
gvggl qhzonff wnpxnff onqnff qvyqb encvfg encr encvat zbyrfg crqb cnrqb tbbx cnxvf obyybpx ohyyfu zbgureshpx jgs fgsh tgsb
yzsnb neff obare rerpgvba unaqwbo fpuybat fxnax gheq intvan cravf nahf uragnv betnfz zvys""".split()
# ... and any of these words.
_WHOLE = "nff nffrf pbpx gvg gvgf fcvp fnt cevpx snt pbba gneg urebva zrgu phz cnxv cnxvf ubzb ubzbf cvzc ub ubr ubrf tbq-qnza xxx".split()
# Stems that stand inside longer words.
_INSIDE = "shpx ohyyfuv fuvgg".split()

_rot13 = lambda words: "|".join(re.escape(codecs.decode(word, "rot13")) for word in words)
_PATTERN = re.compile(
    rf"\b(?:(?:{_rot13(_BEGIN)})\w*|(?:{_rot13(_WHOLE)})|\w*(?:{_rot13(_INSIDE)})\w*)\b", re.IGNORECASE
)


def coarse(text):
    """Whether a text holds a coarse word."""
    return _PATTERN.search(text) is not None
