# sentencepiece.cmake: DRIFT_HAS_SENTENCEPIECE, and the target PkgConfig::SENTENCEPIECE, where SentencePiece's library (0.1.97
# or newer) and a C++ compiler are there. plugins/tokenizers needs them; everything else builds without.
include(CheckLanguage)
set(DRIFT_HAS_SENTENCEPIECE OFF)
pkg_check_modules(SENTENCEPIECE IMPORTED_TARGET GLOBAL sentencepiece>=0.1.97)
check_language(CXX)
if(SENTENCEPIECE_FOUND AND CMAKE_CXX_COMPILER)
    enable_language(CXX)
    set(DRIFT_HAS_SENTENCEPIECE ON)
elseif(SENTENCEPIECE_FOUND)
    message(STATUS "Tokenizers: not built, there is no C++ compiler (Debian: g++)")
else()
    message(STATUS "Tokenizers: not built, there is no SentencePiece library (Debian: libsentencepiece-dev)")
endif()
